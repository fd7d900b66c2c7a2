package initialize

import (
	"time"

	"github.com/bbmd-dev/bbmd/internal/catalog"
	"github.com/bbmd-dev/bbmd/internal/control"
	"github.com/bbmd-dev/bbmd/internal/history"
)

// Finding is what a database was found to be, and what would be done about it.
// It is data: for tables, for JSON and for bbm.runs.
type Finding struct {
	Database string       `json:"database"`
	State    State        `json:"state"`
	Reason   string       `json:"reason"`            // why it is this state
	Missing  bool         `json:"missing,omitempty"` // the server has no database of that name
	Tool     history.Tool `json:"tool,omitempty"`    // of the configured history, else of the one that was found; may be empty
	Table    string       `json:"table,omitempty"`   // the version table, as schema.table; empty: there is none
	Current  []string     `json:"current"`           // the versions the database is at
	Target   []string     `json:"target"`            // the versions it will be at; empty where nobody but the tool knows
	Pending  []Step       `json:"pending"`           // in the order in which they would run
	Late     []string     `json:"late,omitempty"`    // of the pending ones, those that are older than an applied one
	Unknown  []string     `json:"unknown,omitempty"` // applied, and not in the files
	Edited   []Edited     `json:"edited,omitempty"`  // applied, and changed since
	Others   []string     `json:"others,omitempty"`  // version tables of other tools, in words
	// Objects are some of the user's objects, where they decided about the state.
	Objects    []string `json:"objects,omitempty"`
	Production bool     `json:"production"` // marked as production: it is never recreated
	// Interrupted is the number of a run that ended without saying so, 0 for none.
	Interrupted int64 `json:"interrupted,omitempty"`
	Plan        Plan  `json:"plan"`

	record     history.Record // the version table that counts, also when it is empty
	found      bool           // there is one
	stuck      history.Record // another tool's version table, that of one that has not finished here; the zero value: none decides
	records    []history.Record
	files      history.Files      // nil: no directory, or [Command]
	comparison history.Comparison // of the record with the files
	unadopted  []history.Step     // applied, and without a checksum in bbm.applied
	control    bool               // the control schema is there
	running    bool               // a run says that it runs
	resumed    bool               // what is there was made by a run that began on the empty database
	objects    []catalog.Object
	last       *control.Run // nil: there was none
}

// Step is a schema migration that is pending.
type Step struct {
	Version       string   `json:"version"`
	Name          string   `json:"name,omitempty"`
	File          string   `json:"file,omitempty"`
	Transactional bool     `json:"transactional"`
	Requires      []string `json:"requires,omitempty"` // background migrations that it waits for
}

// Edited is a file that is not what it was when it was applied.
type Edited struct {
	Version string    `json:"version"`
	File    string    `json:"file"`
	Applied time.Time `json:"applied"` // when its checksum was recorded
	Was     string    `json:"was"`     // sha256, hex
	Is      string    `json:"is"`
}

// Plan is what [Apply] would do, in order. [Recreate] and the others have plans of their own.
type Plan struct {
	Action Action    `json:"action"`
	Why    string    `json:"why"`
	Steps  []Planned `json:"steps"`
	// Stop is why nothing is done, and the way out; empty where Action is not [ActStop].
	Stop string `json:"stop,omitempty"`

	refusal *RefusalError // what Stop says
}

// Planned is one thing that would be done.
type Planned struct {
	Does    string `json:"does"` // create database, models, stamp, migrate, command, compare, drop, cancel
	Version string `json:"version,omitempty"`
	Name    string `json:"name,omitempty"`
	File    string `json:"file,omitempty"`
	Detail  string `json:"detail,omitempty"`
}

// UpToDate reports whether there is nothing to do.
func (f Finding) UpToDate() bool { return f.Plan.Action == ActNothing }

// Result is what a run did.
type Result struct {
	Database string   `json:"database"`
	Run      int64    `json:"run,omitempty"` // its row in bbm.runs; 0: nothing was to be done
	Action   Action   `json:"action"`
	Before   State    `json:"before"`
	From     []string `json:"from"`  // versions before
	To       []string `json:"to"`    // versions now
	Steps    []Done   `json:"steps"` // what was done, in order
	// SecondsWaited is how long another process was at work before.
	SecondsWaited float64 `json:"seconds_waited"`
	Seconds       float64 `json:"seconds"`
	Plan          Plan    `json:"plan"`
}

// Changed reports whether anything was changed.
func (r Result) Changed() bool { return r.Run != 0 }

// Done is one thing that was done.
type Done struct {
	Planned
	Seconds float64 `json:"seconds"`
}
