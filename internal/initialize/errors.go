package initialize

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/bbmd-dev/bbmd/internal/control"
)

// Kind is what somebody who got an error can do about it: it decides a
// command's exit code.
type Kind int

// The kinds.
const (
	KindUnexpected  Kind = iota // look into it
	KindConfig                  // mend the configuration, the models or the migrations' files
	KindPending                 // the database waits for somebody to migrate it; [Verify] only
	KindFailed                  // a step or the models failed: mend them
	KindUnreachable             // there is no connection
	KindRefused                 // a guard said no: decide
	KindTransient               // try again
)

// KindOf returns the kind of an error of this package. Of several joined errors the
// first that is of a kind decides.
func KindOf(err error) Kind {
	if own, ok := errors.AsType[interface {
		error
		Kind() Kind
	}](err); ok {
		return own.Kind()
	}
	switch {
	case transient(err):
		return KindTransient
	case errors.Is(err, control.ErrNewer):
		return KindRefused
	default:
		return KindUnexpected
	}
}

// ConfigError says that what the database should be is not said right: a key
// of the configuration, or files that cannot be read.
type ConfigError struct {
	Database string
	Err      error
}

// Error returns what is wrong.
func (e *ConfigError) Error() string { return fmt.Sprintf("database %s: %v", e.Database, e.Err) }

// Unwrap returns what is wrong.
func (e *ConfigError) Unwrap() error { return e.Err }

// Kind is [KindConfig].
func (e *ConfigError) Kind() Kind { return KindConfig }

// UnreachableError says that no session could be opened.
type UnreachableError struct {
	Database string
	Err      error
}

// Error returns what is wrong.
func (e *UnreachableError) Error() string {
	return fmt.Sprintf("database %s: connect: %v", e.Database, e.Err)
}

// Unwrap returns the connection's error.
func (e *UnreachableError) Unwrap() error { return e.Err }

// Kind is [KindUnreachable].
func (e *UnreachableError) Kind() Kind { return KindUnreachable }

// Refusal is which guard refused.
type Refusal string

// The refusals.
const (
	RefusedAmbiguous   Refusal = "ambiguous"        // [Ambiguous]
	RefusedDirty       Refusal = "dirty"            // [Dirty]
	RefusedUnknown     Refusal = "unknown_revision" // [UnknownRevision]
	RefusedAhead       Refusal = "ahead"            // [Ahead]
	RefusedDifferent   Refusal = "differs"          // [Unversioned], and not the declared schema
	RefusedUndeclared  Refusal = "undeclared"       // [Unversioned], and nothing is declared to compare it with
	RefusedEdited      Refusal = "edited"           // an applied file was changed
	RefusedOutOfOrder  Refusal = "out_of_order"     // a pending step is older than an applied one
	RefusedMissing     Refusal = "missing_database" // there is no such database, and it may not be created
	RefusedStandby     Refusal = "standby"          // nothing can be written there
	RefusedPooler      Refusal = "pooler"           // the session is none
	RefusedDevelopment Refusal = "development_mode" // a recreation outside development mode
	RefusedProduction  Refusal = "production"       // a recreation of what is marked as production
	RefusedConsumed    Refusal = "consumed"         // a recreation whose token was used before
	RefusedState       Refusal = "state"            // what was asked for does not fit the database's state
	RefusedPrivilege   Refusal = "privilege"        // the role may not do it
)

// RefusalError says that nothing was changed, why, and what to do. The
// same request is refused again until somebody has decided something.
type RefusalError struct {
	Database string
	Refusal  Refusal
	State    State  // as it was found; empty before anything was
	Reason   string // what was found
	WayOut   string // what to do about it; may be empty
	// Difference says per object how a schema differs from the declared one, a line each.
	Difference string
	Err        error // what the server said, if it did
}

// Error returns reason and way out on one line. Where schemas differ their
// differences follow, on lines of their own.
func (e *RefusalError) Error() string {
	text := fmt.Sprintf("database %s: ", e.Database)
	if e.State != "" {
		text += string(e.State) + ": "
	}
	text += e.Reason
	if e.WayOut != "" {
		text += ": " + e.WayOut
	}
	if e.Difference != "" {
		text += "\n" + strings.TrimRight(e.Difference, "\n")
	}
	return text
}

// Unwrap returns what the server said.
func (e *RefusalError) Unwrap() error { return e.Err }

// Kind is [KindRefused].
func (e *RefusalError) Kind() Kind { return KindRefused }

// PendingError says that a database is not where the code needs it to be, and
// that a migration would bring it there.
type PendingError struct {
	Database string
	State    State
	Pending  []string // versions, in the order in which they would run; empty where all of it is missing
}

// Error says what is pending and how to go on.
func (e *PendingError) Error() string {
	what := "its schema is not there yet"
	if len(e.Pending) > 0 {
		what = fmt.Sprintf("%d pending: %s", len(e.Pending), few(e.Pending))
	}
	return fmt.Sprintf("database %s: %s: %s: run bbmd migrate %s", e.Database, e.State, what, e.Database)
}

// Kind is [KindPending].
func (e *PendingError) Kind() Kind { return KindPending }

// StepError says which step failed, where in its file, and what the server said.
type StepError struct {
	Version string // empty: not a step, but the models
	Name    string
	File    string
	Line    int    // in File, from 1; 0: not known
	SQL     string // the statement, or its beginning; may be empty
	Err     error  // a [*pgconn.PgError] is in it where the server refused
}

// Error returns file, line and reason, and the server's hint.
func (e *StepError) Error() string {
	place := e.File
	if place == "" {
		place = strings.TrimSpace(e.Version + " " + e.Name)
	}
	if e.Line > 0 {
		place = fmt.Sprintf("%s:%d", place, e.Line)
	}
	text := place + ": " + e.Err.Error()
	if pg, ok := errors.AsType[*pgconn.PgError](e.Err); ok && pg.Hint != "" {
		text += ": " + strings.TrimSuffix(pg.Hint, ".")
	}
	return text
}

// Unwrap returns the reason.
func (e *StepError) Unwrap() error { return e.Err }

// Kind is [KindTransient] where the same step may succeed by itself the next
// time, else [KindFailed].
func (e *StepError) Kind() Kind {
	if transient(e.Err) {
		return KindTransient
	}
	return KindFailed
}

// FailedError says that a run ended otherwise than its plan: a program that reported
// success left another version than it should have, or failed outside a step.
type FailedError struct {
	Database string
	Err      error
}

// Error returns what is wrong.
func (e *FailedError) Error() string { return fmt.Sprintf("database %s: %v", e.Database, e.Err) }

// Unwrap returns what is wrong.
func (e *FailedError) Unwrap() error { return e.Err }

// Kind is [KindFailed].
func (e *FailedError) Kind() Kind { return KindFailed }

// BusyError says that somebody else was at work for longer than one was willing to wait.
type BusyError struct {
	Database string
	Who      string // who, and since when
	Err      error  // why the waiting ended
}

// Error says who it is.
func (e *BusyError) Error() string {
	return fmt.Sprintf("database %s: %s: %v", e.Database, e.Who, e.Err)
}

// Unwrap returns why the waiting ended.
func (e *BusyError) Unwrap() error { return e.Err }

// Kind is [KindTransient].
func (e *BusyError) Kind() Kind { return KindTransient }

// errLost ends a run whose session, and with it its lock, is gone: somebody
// else may be at work by now.
var errLost = errors.New("the session that holds the lock was lost")

// transient reports whether err is nobody's fault and may be gone the next time:
// locks, deadlocks, lost connections, a server that stops or starts, the end of the context.
func transient(err error) bool {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, errLost) {
		return true
	}
	pg, ok := errors.AsType[*pgconn.PgError](err)
	if !ok {
		_, lost := errors.AsType[*pgconn.ConnectError](err)
		return lost || pgconn.SafeToRetry(err) || pgconn.Timeout(err)
	}
	switch {
	case strings.HasPrefix(pg.Code, "08"), strings.HasPrefix(pg.Code, "53"), strings.HasPrefix(pg.Code, "57P"):
		return true
	case pg.Code == codeLockNotAvailable, pg.Code == "40001", pg.Code == "40P01":
		return true
	default:
		return false
	}
}

const (
	codeLockNotAvailable      = "55P03"
	codeUnknownDatabase       = "3D000"
	codeDuplicateDatabase     = "42P04"
	codeUniqueViolation       = "23505"
	codeObjectInUse           = "55006"
	codeInsufficientPrivilege = "42501"
	codeUnknownStatement      = "26000"
	codeDuplicateStatement    = "42P05"
)

// few names the first of many.
func few(names []string) string {
	const most = 5
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
}
