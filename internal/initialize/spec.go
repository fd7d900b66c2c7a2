package initialize

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/bbmd-dev/bbmd/internal/history"
)

// Command is the history of a database that a program of the user's brings up,
// about whose steps bbmd knows nothing. It is no tool of [history], and is never
// found by itself: [Spec.History] says it.
const Command history.Tool = "command"

// Models is the declared history-less schema's own "tool": the history of a database that has
// models and no migrations. Its version is the checksum of what the models say.
const modelsTool history.Tool = "models"

// OnStart is what a daemon does about a database's schema when it starts.
type OnStart string

// What a daemon does at its start. The empty value is [Migrate] where a schema
// is configured, else [Off]; see [Spec.Configured].
const (
	Migrate OnStart = "migrate" // [Apply]
	Check   OnStart = "verify"  // [Verify]
	Off     OnStart = "off"
)

// Bootstrap is how an empty database is filled.
type Bootstrap string

// How an empty database is filled. The empty value is [FromModels] where models
// are declared, else [FromMigrations].
const (
	FromModels     Bootstrap = "models"     // in one transaction, and every head stamped
	FromMigrations Bootstrap = "migrations" // all of them, from the first
)

// Policy is what happens about something that is probably a mistake.
type Policy string

// The policies. The empty value is [Refuse].
const (
	Refuse Policy = "refuse" // stop before anything is changed, and say so
	Allow  Policy = "allow"  // log a warning and go on
)

// Models says where the declared schema comes from. At most one is set; none: there are no models.
type Models struct {
	Path    string   // an SQL file, or a directory of .sql files, which run in the order of their names
	Command []string // a program and its arguments; what it prints is the schema's SQL
}

// Declared reports whether there are models.
func (m Models) Declared() bool { return m.Path != "" || len(m.Command) > 0 }

// Limits bound what a run may wait for and hold up. The zero value is that of [DefaultLimits].
type Limits struct {
	// LockTimeout is how long a statement of a migration queues for a lock, in
	// front of everybody who comes later. Zero: 3s. Negative: for ever.
	LockTimeout time.Duration
	// StatementTimeout bounds each statement of a migration. Zero: nothing bounds it.
	StatementTimeout time.Duration
	// Retry is for how long a step that did not get its lock is tried again, with
	// growing pauses. Zero: 5m. Negative: it is not.
	Retry time.Duration
	// Wait is how long to wait for another process that is at work on the same
	// database. Zero: for as long as the context allows.
	Wait time.Duration
	// Drain is how long a recreation waits for running batches to end. Zero: 2m.
	Drain time.Duration
	// Finish is how long a step waits for a background migration that it requires.
	// Zero: for as long as the context allows.
	Finish time.Duration
}

// DefaultLimits are the limits where nothing is said.
func DefaultLimits() Limits {
	return Limits{LockTimeout: 3 * time.Second, Retry: 5 * time.Minute, Drain: 2 * time.Minute}
}

// orDefaults fills in what is not said.
func (l Limits) orDefaults() Limits {
	d := DefaultLimits()
	if l.LockTimeout == 0 {
		l.LockTimeout = d.LockTimeout
	}
	if l.Retry == 0 {
		l.Retry = d.Retry
	}
	if l.Drain == 0 {
		l.Drain = d.Drain
	}
	l.LockTimeout, l.Retry = max(l.LockTimeout, 0), max(l.Retry, 0)
	return l
}

// Spec says what a database should be, and how to get to it. Database, Connect
// and URL are required.
type Spec struct {
	// Database is its name in the configuration, for messages and application_name.
	Database string

	// Connect opens a session on the server, directly or through a pooler in
	// session mode, in the database that is named, or in the spec's own when that is
	// empty. The caller closes it.
	Connect func(ctx context.Context, application, database string) (*pgx.Conn, error)
	// URL returns the connection string, for programs. It is a secret.
	URL func() (string, error)

	// ControlSchema is where bbmd keeps its own tables. Empty: bbm.
	ControlSchema string

	Models     Models
	Bootstrap  Bootstrap
	Migrations string       // directory of the history; empty: there is none
	History    history.Tool // goose, alembic, [Command]; empty: told by what the directory holds
	// HistoryOptions say what cannot be seen in the directory. Their Config and
	// Section are also those that Alembic is run with.
	HistoryOptions history.Options

	// Command brings the database up, where History is [Command], or is what runs
	// Alembic: empty means alembic, else for example [python, -m, alembic].
	Command []string
	// Arguments go between Alembic and its subcommand, such as -x KEY=VALUE.
	Arguments []string
	// Dir is the working directory of programs. Empty: HistoryOptions.WorkDir; without it the
	// directory of Alembic's configuration for Alembic, and for others that of this process.
	Dir string
	// Environment is added to that of this process for programs, as KEY=VALUE.
	Environment []string
	// URLVariable is the environment variable that tells programs the connection
	// string. Empty: DATABASE_URL.
	URLVariable string

	// VersionTable names the history's version table, as schema.table in the catalog's spelling,
	// where there are several of the same tool. Empty: the one that is there.
	VersionTable string
	// Baseline is the version that a database without history has, as an operator
	// vouches for it: it is stamped without comparing. Empty: the schema has to be the declared one.
	Baseline string

	Create      bool   // create the database where the server has none of that name
	Maintenance string // the database to connect to for that. Empty: postgres, then template1.

	OutOfOrder  Policy // a pending step that is older than an applied one
	EditedFiles Policy // a file that was changed after it was applied

	// Development allows [Recreate].
	Development bool

	Limits Limits

	// Finalize runs the rest of a background migration in this process, without throttle, and
	// returns when it has finished. Nil: a step that requires one on a fresh database waits for a daemon.
	Finalize func(ctx context.Context, name string) error
	// FinalizeAlways runs required background migrations in this process also on
	// databases that are not fresh, instead of waiting for them.
	FinalizeAlways bool

	// Version of bbmd, for bbm.runs.
	Version string
	// Logger gets what happens. Nil: nobody does.
	Logger *slog.Logger
	// Output gets what programs print, beside bbm.runs. Nil: the logger does, line by line.
	Output io.Writer
}

// Configured reports whether anything is said about the database's schema.
func (s Spec) Configured() bool {
	return s.Models.Declared() || s.Migrations != "" || s.History == Command
}

// Validate returns all that contradicts itself, as one error that wraps a [ConfigError].
func (s Spec) Validate() error {
	var wrong []error
	refuse := func(is bool, what string) {
		if is {
			wrong = append(wrong, &ConfigError{Database: s.Database, Err: errors.New(what)})
		}
	}
	refuse(!s.Configured(), "no schema is configured: give models, migrations or a command")
	refuse(s.Models.Path != "" && len(s.Models.Command) > 0, "models is both a path and a command: give one")
	refuse(s.Bootstrap == FromModels && !s.Models.Declared(), "bootstrap is models, and there are none: give models, or bootstrap: migrations")
	refuse(s.Bootstrap == FromMigrations && s.Migrations == "" && s.History != Command, "bootstrap is migrations, and there are none: give migrations")
	refuse(s.History == Command && len(s.Command) == 0, "history is command, and there is none: give command")
	refuse(s.History != "" && s.History != Command && s.Migrations == "", "history is "+string(s.History)+", and there is no directory: give migrations")
	refuse(s.Baseline != "" && s.Migrations == "", "baseline_version names a version, and there are no migrations that have it: give migrations")
	return errors.Join(wrong...)
}

// logger returns the spec's logger, or one that nobody reads.
func (s Spec) logger() *slog.Logger {
	if s.Logger == nil {
		return slog.New(slog.DiscardHandler)
	}
	return s.Logger.With("database", s.Database)
}

// bootstrap returns how an empty database is filled.
func (s Spec) bootstrap() Bootstrap {
	switch {
	case s.Bootstrap != "":
		return s.Bootstrap
	case s.Models.Declared():
		return FromModels
	default:
		return FromMigrations
	}
}
