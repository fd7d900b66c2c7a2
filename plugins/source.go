package plugins

import (
	"context"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/bbmd-dev/bbmd/registry"
)

// ErrReplaced says that a batch began after the plugin that was to process it
// had been closed: another version of it, or nothing, is in its place. It is
// nobody's fault and costs the batch no attempt: to those who look for one it is an
// error of PostgreSQL of the class 53, by which the executor knows that.
var ErrReplaced error = replacedError{}

type replacedError struct{}

const replaced = "plugin was replaced"

func (replacedError) Error() string { return replaced }

func (replacedError) Unwrap() error {
	return &pgconn.PgError{Severity: "ERROR", Code: "53000", Message: replaced}
}

// Source finds the plugins of one kind. Its methods are called by one goroutine
// at a time.
type Source interface {
	// Kind returns the kind of the plugins.
	Kind() Kind

	// Scan lists what is in the directory, in any order. It reads and runs
	// nothing foreign, and passes over what is of another kind. What looks like a
	// plugin and is not a valid one is a candidate with an error. The error that
	// Scan itself returns is that of the directory, or ctx's.
	Scan(ctx context.Context, dir *Dir) ([]Candidate, error)

	// Open makes Works of a candidate without an error that Scan has returned.
	// The Catalog sets their digest. An error makes the plugin invalid.
	Open(ctx context.Context, c Candidate) (Opened, error)
}

// Candidate is a plugin that a [Source] has found.
type Candidate struct {
	// Name is the plugin's own, by which the lock file knows it. Where it cannot
	// be read, it is the file's.
	Name string

	// Path is where the plugin is, as it is shown to people.
	Path string

	// Works are the names of the plugin's Works, so that a migration that waits for one of a
	// plugin that is not used is told why. It may be empty where one has the plugin's own name.
	Works []string

	// Digest is that of the content which Open makes Works of; see [Digest] and
	// [Dir.Digest].
	Digest string

	// Err says why the plugin cannot be used. Nil: it can.
	Err error

	// Content is the source's own, for its Open.
	Content any
}

// Opened is a plugin in use.
type Opened interface {
	// Works returns the plugin's Works, always the same.
	Works() []registry.Work

	// State returns [StateOK], or [StateCrashed] with the reason and the way out.
	// It is called from any goroutine.
	State() (State, string)

	// Close is called once, when another version or nothing takes the plugin's
	// place. It does not wait: batches that run may end, and those that begin
	// afterwards return an error that wraps [ErrReplaced].
	Close() error
}
