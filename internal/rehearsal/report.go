package rehearsal

import "github.com/bbmd-dev/bbmd/internal/control"

// Report is all that a rehearsal has found.
type Report struct {
	Migration string   `json:"migration,omitempty"` // empty: not enqueued yet
	Work      string   `json:"job_signature_name"`
	Table     string   `json:"table_name"`
	Key       []string `json:"key_columns"`         // empty with the strategy "null"
	Statement string   `json:"statement,omitempty"` // as the Work gives it; empty: the Work is a callback
	Plan      []string `json:"plan,omitempty"`      // of the statement, as EXPLAIN prints it

	Findings []Finding  `json:"findings"`
	Batches  []Batch    `json:"batches"`
	Writes   []Write    `json:"writes"`             // by all batches that passed, what triggers and cascades do included
	Measured *Measured  `json:"measured,omitempty"` // nil: no batch passed
	Forecast *Projected `json:"projected,omitempty"`
}

// Level is how much a finding matters.
type Level string

// The levels.
const (
	OK   Level = "ok"   // as it should be
	Note Level = "note" // worth to know
	Warn Level = "warn" // dear, or dangerous
	Fail Level = "fail" // the migration would fail
)

// Finding is something to know before the migration runs.
type Finding struct {
	Level Level  `json:"level"`
	About string `json:"about"` // plan, indexes, triggers, foreign keys, …
	Text  string `json:"text"`
	Hint  string `json:"hint,omitempty"` // the way out
}

// Batch is one batch that was tried and rolled back.
type Batch struct {
	After        *string          `json:"after_value"` // exclusive; nil: the migration's first batch
	End          string           `json:"max_value"`
	Keys         int64            `json:"keys"`
	Rows         int64            `json:"rows"` // changed, as the Work reports it
	Milliseconds float64          `json:"ms"`   // of the Work, with the constraints that wait for the end
	LookupMS     float64          `json:"lookup_ms"`
	WALBytes     int64            `json:"wal_bytes"` // of the whole server meanwhile
	HOTShare     *float64         `json:"hot_share"` // of the updates of the migration's table; nil: there were none
	Failure      *control.Failure `json:"failure,omitempty"`
}

// Write is what batches did to one table.
type Write struct {
	Table    string `json:"table"`
	Inserted int64  `json:"inserted"`
	Updated  int64  `json:"updated"`
	HOT      int64  `json:"hot_updated"` // of the updated ones, those that touched no index
	Deleted  int64  `json:"deleted"`

	oid uint32
}

// Measured sums the batches up that passed.
type Measured struct {
	Batches    int      `json:"batches"`
	Keys       int64    `json:"keys"`
	Rows       int64    `json:"rows"`
	BatchSize  int32    `json:"batch_size"` // of the last of them, on which the times rest
	MedianMS   float64  `json:"median_ms"`
	P90MS      float64  `json:"p90_ms"`
	KeysPerSec float64  `json:"keys_per_second"` // of one worker, ends looked up, without a rest and without bookkeeping
	WALPerRow  *float64 `json:"wal_bytes_per_row"`
	HOTShare   *float64 `json:"hot_share"`
}

// Projected is what the whole of what is left would take, at the speed measured.
type Projected struct {
	Keys       int64      `json:"keys_left"`   // rows that no batch was cut for yet, about
	Guess      bool       `json:"keys_guess"`  // keys_left is from a sample: the table has no statistics
	BatchSize  int32      `json:"batch_size"`  // to which sizes would be steered
	Workers    int        `json:"workers"`     // that can be at it at a time
	Durations  []Duration `json:"durations"`   // at full speed, then slower
	WALBytes   int64      `json:"wal_bytes"`   // of the whole server while batches were tried, so many times
	DeadRows   int64      `json:"dead_rows"`   // over all tables, for vacuum to remove
	TableBytes int64      `json:"table_bytes"` // by which the table grows at most, where vacuum does not keep up
	IndexBytes int64      `json:"index_bytes"` // by which its indexes grow
	SizeBefore int64      `json:"size_before"` // of the table and its indexes now
}

// Duration is how long it takes at a duty, the share of the time to work.
type Duration struct {
	Duty    float64 `json:"duty"`
	Seconds float64 `json:"seconds"`
}

// Failed reports whether the migration would fail as it is.
func (r *Report) Failed() bool {
	for _, f := range r.Findings {
		if f.Level == Fail {
			return true
		}
	}
	return false
}

func (r *Report) add(level Level, about, text, hint string) {
	r.Findings = append(r.Findings, Finding{Level: level, About: about, Text: text, Hint: hint})
}
