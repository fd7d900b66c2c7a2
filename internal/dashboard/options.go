package dashboard

import (
	"context"
	"encoding/json"
	"log/slog"

	"github.com/bbmd-dev/bbmd/internal/control"
)

// Options configure a [Server].
type Options struct {
	// Listen is host:port; port 0 takes a free one. Empty means that nothing is
	// served, and Run only waits.
	Listen string
	// Hosts are names, in small letters, under which it may be asked for, besides
	// localhost and IP addresses.
	Hosts []string
	// Token returns what one needs to know to act, and to read. Nil means that there is
	// none: everybody who reaches the server may read, and nobody act.
	Token func() (string, error)
	// PublicRead says that reading needs no token although there is one.
	PublicRead bool
	// Databases are shown in this order.
	Databases []Database
	// Works returns the Works that can be enqueued, sorted by name. Nil: none.
	Works func() []Work
	// Plugins returns where Works come from that are not compiled in. Nil: nowhere.
	Plugins func() []Plugin
	// Version of bbmd, for people.
	Version string
	// Logger gets what was done, and what goes wrong. Nil discards it.
	Logger *slog.Logger
	// Redact takes secrets out of errors. Nil means they have none.
	Redact func(string) string
}

// Database is what the server knows of one database. All but Name may be nil where
// it has nothing to say.
type Database struct {
	// Name is its name in the configuration.
	Name string
	// Store is its control schema.
	Store control.Store
	// DB returns what queries are sent through, or nil while it cannot be reached.
	DB func() control.TxDB
	// Checks says how it is doing, without a query.
	Checks func(ctx context.Context) []Check
	// Schema says what its schema is, which may take some queries.
	Schema func(ctx context.Context) Schema
	// CheckThrottle says what is wrong with the throttle of a migration.
	CheckThrottle func(throttle json.RawMessage) error
	// Finalize begins to run the rest of a migration without throttle, and
	// returns at once, or says why it does not.
	Finalize func(migration string) error
}

// Check is one thing that has to be right for a database to be ready.
type Check struct {
	Name  string `json:"name"`
	Error string `json:"error"` // empty: it is right
}

// Schema is what a database's schema was found to be.
type Schema struct {
	Configured bool     `json:"configured"` // false: nothing else is known
	State      string   `json:"state"`
	Tool       string   `json:"tool"`
	Current    []string `json:"current_versions"`
	Pending    []string `json:"pending"`
	UpToDate   bool     `json:"up_to_date"`
	Stop       string   `json:"stop"`  // why nothing is done, and the way out
	Error      string   `json:"error"` // why it could not be looked at
}

// Work can be enqueued.
type Work struct {
	Name      string     `json:"name"`
	Version   int        `json:"version"`
	Summary   string     `json:"summary"`
	Kind      string     `json:"kind"` // compiled, sql or process
	Arguments []Argument `json:"arguments"`
	// Validate says what is wrong with the arguments. Nil: nothing ever is.
	Validate func(arguments json.RawMessage) error `json:"-"`
}

// Argument is one argument of a Work.
type Argument struct {
	Name     string `json:"name"`
	Type     string `json:"type"` // string, number, boolean, array, object or any
	Nullable bool   `json:"nullable"`
}

// Plugin is where Works come from that are not compiled in.
type Plugin struct {
	Name   string   `json:"name"`
	Kind   string   `json:"kind"`
	Path   string   `json:"path"`
	Digest string   `json:"digest"`
	State  string   `json:"state"`
	Reason string   `json:"reason"` // why it is not ok, and the way out
	Usable bool     `json:"usable"`
	Works  []string `json:"works"`
}
