package config

import "time"

// Schema says what brings a database's schema up. One that is written by hand
// starts with [DefaultSchema]; the zero value is no schema at all.
type Schema struct {
	// OnStart is what the daemon does about the schema before it listens for
	// events: migrate, verify or off. Empty means migrate where Models,
	// Migrations or Command is set, and off elsewhere. Defaults to empty.
	OnStart OnStart `koanf:"on_start"`

	// Models is the schema as it is declared: an SQL file, a directory of SQL
	// files, or a command that prints DDL (command: [python, -m, app.models]).
	// An empty database is created from it, and one without a history is
	// compared with it. A relative path in the configuration file starts at
	// that file's directory. Defaults to empty.
	Models Models `koanf:"models"`

	// Migrations is the directory of the migration files: goose's .sql files,
	// or an Alembic project. A relative path in the configuration file starts
	// at that file's directory. Defaults to empty.
	Migrations string `koanf:"migrations"`

	// History is the tool that the migrations are written for: goose, alembic,
	// command for any other that Command runs, or auto, which tells by the
	// files. Defaults to auto.
	History History `koanf:"history"`

	// Command is the program that brings the database up where History is
	// command, and the one that is Alembic where it is alembic, such as
	// [python, -m, alembic], without a subcommand: a list, or words where none
	// needs a quote. Empty means alembic. Defaults to empty.
	Command Command `koanf:"command"`

	// Arguments go between Alembic and its subcommand, such as [-x,
	// tenant=a]. Defaults to empty.
	Arguments Command `koanf:"arguments"`

	// Directory is where commands run, that of Models included. Empty means
	// beside alembic.ini for Alembic, where there is one, and the working
	// directory of bbmd for others. A relative path in the configuration file
	// starts at that file's directory. Defaults to empty.
	Directory string `koanf:"directory"`

	// URLVariable is the environment variable in which commands find the
	// connection string. Defaults to DATABASE_URL.
	URLVariable string `koanf:"url_variable"`

	// VersionTable is the history's version table, as schema.table, where there
	// are several that it could be. Empty means the one that is there.
	// Defaults to empty.
	VersionTable string `koanf:"version_table"`

	// BaselineVersion is the version that a database without a history is
	// taken to have, without a comparison: it is stamped, and nothing in it is
	// touched. Empty means that it has to equal Models. Defaults to empty.
	BaselineVersion string `koanf:"baseline_version"`

	// Bootstrap is what an empty database is created from: models, where they
	// are set, or migrations, all of them. Defaults to models.
	Bootstrap Bootstrap `koanf:"bootstrap"`

	// OutOfOrder says what becomes of a pending migration that is older than
	// one that has been applied: refuse or allow. Defaults to refuse.
	OutOfOrder Policy `koanf:"out_of_order"`

	// EditedFiles says what becomes of a database when the file of a migration
	// was edited after it had been applied: refuse or allow. Defaults to
	// refuse.
	EditedFiles Policy `koanf:"edited_files"`

	// Create says that a database that does not exist is created, through the
	// maintenance database postgres. Defaults to false.
	Create bool `koanf:"create"`
}

// SchemaMigrations says how schema migrations run.
type SchemaMigrations struct {
	// Parallel is how many databases are brought up at a time, from 1 to 64.
	// Defaults to 4.
	Parallel int `koanf:"parallel"`

	// LockTimeout is how long a statement of a schema migration waits for a
	// lock, from 1ms to 1h: everybody who comes after it waits as well. Then
	// the migration is rolled back and tried again. Defaults to 3s.
	LockTimeout time.Duration `koanf:"lock_timeout"`

	// LockPatience is how long a migration is tried again for want of a lock,
	// up to 24h, before it fails. Defaults to 5m.
	LockPatience time.Duration `koanf:"lock_patience"`

	// StatementTimeout is how long one statement of a schema migration may
	// take, up to 24h. 0 is as long as it takes. Defaults to 0s.
	StatementTimeout time.Duration `koanf:"statement_timeout"`

	// DrainTimeout is how long a forced recreation waits for the batches that
	// run on the database, on any replica, from 1s to 24h. Defaults to 2m.
	DrainTimeout time.Duration `koanf:"drain_timeout"`

	// SkipVersionCheck makes every check of a schema's version succeed without
	// a look: on_start verify, `bbmd verify` and daemon.Verify. Defaults to
	// false.
	SkipVersionCheck bool `koanf:"skip_version_check"`
}

type (
	// OnStart is what the daemon does about a schema before it listens.
	OnStart string
	// History is a migration tool.
	History string
	// Bootstrap is what an empty database is created from.
	Bootstrap string
	// Policy is what becomes of something that is probably a mistake.
	Policy string
)

// What the daemon does about a schema before it listens.
const (
	OnStartMigrate OnStart = "migrate" // bring it up
	OnStartVerify  OnStart = "verify"  // wait until somebody else has
	OnStartOff     OnStart = "off"     // nothing
)

// The migration tools.
const (
	HistoryAuto    History = "auto"
	HistoryGoose   History = "goose"
	HistoryAlembic History = "alembic"
	HistoryCommand History = "command"
)

// What an empty database is created from.
const (
	BootstrapModels     Bootstrap = "models"
	BootstrapMigrations Bootstrap = "migrations"
)

// What becomes of something that is probably a mistake.
const (
	PolicyRefuse Policy = "refuse" // stop before anything is changed, and say so
	PolicyAllow  Policy = "allow"  // say so, and go on
)

// DefaultSchema returns the schema of a database before anything is set.
func DefaultSchema() Schema {
	return Schema{
		History: HistoryAuto, URLVariable: databaseVariable,
		Bootstrap: BootstrapModels, OutOfOrder: PolicyRefuse, EditedFiles: PolicyRefuse,
	}
}

// Configured reports whether something says how to bring the schema up.
func (s Schema) Configured() bool { return s.Models != "" || s.Migrations != "" || s.Command != "" }

// Start returns what the daemon does about the schema before it listens: one of
// the OnStart constants.
func (s Schema) Start() OnStart {
	switch {
	case s.OnStart != "":
		return s.OnStart
	case s.Configured():
		return OnStartMigrate
	default:
		return OnStartOff
	}
}
