package config

import (
	"log/slog"
	"maps"
	"reflect"
	"slices"
	"time"
)

// Config is everything that can be set. A Config that [Load] returned is
// valid; one that is written by hand starts with [Default] and is checked with
// [Config.Validate].
type Config struct {
	// Databases are the databases that bbmd looks after, each under a name
	// that logs, metrics and commands use for it: a small letter, then small
	// letters, digits, '_' and '-'. Where none is named, DATABASE_URL or the
	// libpq variables (PGHOST and the others) are the database "default".
	// Defaults to none.
	Databases map[string]Database `koanf:"databases"`

	// Discover is a directory of services: <discover>/<name>/migrations
	// becomes schema.migrations of the database <name> where its url is known
	// (<NAME>_DATABASE_URL), and <discover>/<name>/schema.sql, where it
	// exists, its schema.models. What is configured by hand stands. A relative
	// path in the configuration file starts at that file's directory.
	// Defaults to empty.
	Discover string `koanf:"discover"`

	// Profiles are names for some of the databases: a mapping of lists in the
	// file, JSON in the environment. Defaults to empty.
	Profiles Profiles `koanf:"profiles"`

	// Profile is the one of Profiles that this process is about: [Load] leaves
	// all other databases out. Empty means all. Defaults to empty.
	Profile string `koanf:"profile" flag:"profile"`

	// ControlSchema is the schema, in every database, that holds bbmd's own
	// tables. It is created where it is missing. Renaming it later starts
	// with an empty one. Defaults to bbm.
	ControlSchema string `koanf:"control_schema" flag:"control-schema"`

	// SchemaMigrations says how schema migrations run.
	SchemaMigrations SchemaMigrations `koanf:"schema_migrations"`

	// BackgroundMigrations says whether and how background migrations run.
	BackgroundMigrations BackgroundMigrations `koanf:"background_migrations"`

	// Plugins says where Works come from that are not compiled in.
	Plugins Plugins `koanf:"plugins"`

	// Events is where the daemon learns of changes: notify listens to
	// notifications, wal decodes them from the write-ahead log, which needs
	// wal_level = logical and a role that may replicate. Defaults to notify.
	Events EventSource `koanf:"events"`

	// DevelopmentMode says that the data of these databases may be lost. It
	// allows nothing by itself; ForceRecreate and `bbmd reset` need it.
	// Defaults to false.
	DevelopmentMode bool `koanf:"development_mode" live:"true"`

	// ForceRecreate is a token: while it is one that a database has not seen,
	// that database's schema is dropped with all its data and created anew,
	// once. True is a token that is new again after it was false. Empty and
	// false mean no. It needs DevelopmentMode. Defaults to empty.
	ForceRecreate Token `koanf:"force_recreate" live:"true"`

	// HTTP is the server of probes and metrics.
	HTTP HTTP `koanf:"http"`

	// Dashboard is the web page and its JSON API.
	Dashboard Dashboard `koanf:"dashboard"`

	// Log says what is logged, and how it looks.
	Log Log `koanf:"log"`

	// Tracing says where traces go.
	Tracing Tracing `koanf:"tracing"`

	// Sentry says who is told of critical errors.
	Sentry Sentry `koanf:"sentry"`

	// ShutdownGrace is how long batches that are running when bbmd is told to
	// stop may take to finish; then they are cancelled and roll back. 0
	// cancels them at once. Defaults to 30s.
	ShutdownGrace time.Duration `koanf:"shutdown_grace" flag:"shutdown-grace" live:"true"`

	loaded *loaded
}

// Database is how one PostgreSQL database is reached. Where neither URL nor
// URLFile is set, <NAME>_DATABASE_URL is taken (DATABASE_URL for the one named
// default), else the libpq variables.
type Database struct {
	// URL is the connection string: postgres://user:password@host:5432/name,
	// or key=value pairs. It excludes URLFile. Defaults to empty.
	URL URL `koanf:"url"`

	// URLFile is a file whose content is the connection string. It is read at
	// every connect, so a rotated secret needs no restart. A relative path in
	// the configuration file starts at that file's directory. It excludes
	// URL. Defaults to empty.
	URLFile string `koanf:"url_file"`

	// ListenURL is a second connection string, for the connection that
	// listens for events, where the first goes through a transaction pooler,
	// which would drop them. Empty means the first. Defaults to empty.
	ListenURL URL `koanf:"listen_url"`

	// Schema says what brings the database's schema up.
	Schema Schema `koanf:"schema"`
}

// BackgroundMigrations says whether and how background migrations run.
type BackgroundMigrations struct {
	// Enabled is the feature switch: false finishes the running batches and
	// starts no others. Defaults to true.
	Enabled bool `koanf:"enabled" flag:"background-migrations" live:"true"`

	// Workers is how many batches may run at a time per database, from 1 to
	// 256. Migrations of different tables run beside each other up to it.
	// Defaults to 2.
	Workers int `koanf:"workers" flag:"workers" live:"true"`

	// SynchronousCommit is PostgreSQL's setting of that name for batch
	// transactions: off, local, on, remote_write or remote_apply. Off is
	// safe: a batch's rows and its bookkeeping are lost or kept together.
	// Defaults to off.
	SynchronousCommit string `koanf:"synchronous_commit" live:"true"`

	// MaxAttempts is how often a job is tried before it is split, from 1 to
	// 100, for migrations that do not say it themselves. Defaults to 5.
	MaxAttempts int `koanf:"max_attempts" live:"true"`

	// TargetDuration is how long one batch is to take, up to 1m, for
	// migrations that do not say it themselves: sizes are steered towards it.
	// 0 leaves every batch_size as it is. Defaults to 50ms.
	TargetDuration time.Duration `koanf:"target_duration" live:"true"`

	// Throttle is what differs from the standard throttle, by its keys as
	// docs/throttling.md has them: a mapping in the file, JSON in the
	// environment. Defaults to empty.
	Throttle Object `koanf:"throttle" live:"true"`

	// TakeoverInterval is how often, while a migration runs elsewhere or its last batches end after it was stopped, its
	// owner is checked for being alive, from 100ms to 10m. Nothing is checked
	// while no batch runs. Defaults to 2s.
	TakeoverInterval time.Duration `koanf:"takeover_interval" live:"true"`

	// StatementTimeout is how long one statement of a batch may take, from
	// 10ms to 24h; PostgreSQL cancels it then, and the batch is tried again.
	// Defaults to 30s.
	StatementTimeout time.Duration `koanf:"statement_timeout" live:"true"`

	// LockTimeout is how long a statement of a batch waits for a lock, from
	// 1ms to 24h and less than StatementTimeout. Short is polite: it yields
	// instead of queueing in front of the application. Defaults to 1s.
	LockTimeout time.Duration `koanf:"lock_timeout" live:"true"`
}

// HTTP is the server of /livez, /readyz and /metrics.
type HTTP struct {
	// Listen is the address to listen on: host:port, or :port for all
	// interfaces; port 0 takes a free one. Empty means no HTTP server.
	// Defaults to :8080.
	Listen string `koanf:"listen" flag:"http-listen"`
}

// Log says what is logged, and how it looks.
type Log struct {
	// Level is the least severe level that is logged: debug, info, warn or
	// error. Defaults to info.
	Level slog.Level `koanf:"level" flag:"log-level" live:"true"`

	// Format is text (colored on a terminal), json, or auto: text on a
	// terminal and json elsewhere. Defaults to auto.
	Format LogFormat `koanf:"format" flag:"log-format"`
}

// Object is a JSON object, whose keys are its reader's business. Empty is none.
type Object string

// EventSource is where events come from.
type EventSource string

// The sources of events.
const (
	EventsNotify EventSource = "notify" // LISTEN and NOTIFY
	EventsWAL    EventSource = "wal"    // logical replication
)

// LogFormat is how log records are written.
type LogFormat string

// The log formats.
const (
	LogAuto LogFormat = "auto" // text on a terminal, JSON elsewhere
	LogText LogFormat = "text" // one line for people
	LogJSON LogFormat = "json" // one JSON object a line
)

// DefaultDatabase is the name of the database that DATABASE_URL, or the libpq
// variables, configure on their own.
const DefaultDatabase = "default"

// Default returns the configuration before anything is set. It has no
// databases.
func Default() Config {
	return Config{
		Databases:     map[string]Database{},
		ControlSchema: "bbm",
		SchemaMigrations: SchemaMigrations{
			Parallel:     4,
			LockTimeout:  3 * time.Second,
			LockPatience: 5 * time.Minute,
			DrainTimeout: 2 * time.Minute,
		},
		BackgroundMigrations: BackgroundMigrations{
			Enabled:           true,
			Workers:           2,
			SynchronousCommit: "off",
			MaxAttempts:       5,
			TargetDuration:    50 * time.Millisecond,
			TakeoverInterval:  2 * time.Second,
			StatementTimeout:  30 * time.Second,
			LockTimeout:       time.Second,
		},
		Plugins:       Plugins{Verify: PluginsVerify{SQL: PluginsWarn, Process: PluginsRequired}},
		Events:        EventsNotify,
		HTTP:          HTTP{Listen: ":8080"},
		Log:           Log{Level: slog.LevelInfo, Format: LogAuto},
		ShutdownGrace: 30 * time.Second,
	}
}

// Names returns the names of the databases, sorted.
func (c Config) Names() []string {
	return slices.Sorted(maps.Keys(c.Databases))
}

// Equal reports whether c and other set the same values, wherever they came
// from.
func (c Config) Equal(other Config) bool {
	c.loaded, other.loaded = nil, nil
	return maps.Equal(c.Databases, other.Databases) && reflect.DeepEqual(c.withoutDatabases(), other.withoutDatabases())
}

func (c Config) withoutDatabases() Config {
	c.Databases = nil
	return c
}

// File returns the file that was read, or an empty string if there was none.
func (c Config) File() string {
	if c.loaded == nil {
		return ""
	}
	return c.loaded.file
}
