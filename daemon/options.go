package daemon

import (
	"log/slog"
	"time"

	"github.com/bbmd-dev/bbmd/internal/config"
	"github.com/bbmd-dev/bbmd/notify"
	"github.com/bbmd-dev/bbmd/registry"
)

// The configuration, for programs that embed bbmd. Its fields are documented
// where they are defined, and in docs/configuration.md.
type (
	// Config is everything that can be set. Start with [DefaultConfig] or
	// [LoadConfig].
	Config = config.Config
	// Database is how one PostgreSQL database is reached.
	Database = config.Database
	// Schema says what brings a database's schema up. Start with [DefaultSchema].
	Schema = config.Schema
	// URL is a connection string, whose password is never printed.
	URL = config.URL
	// Sources says where [LoadConfig] looks.
	Sources = config.Sources
)

// DefaultConfig returns the configuration before anything is set. It has no
// databases.
func DefaultConfig() Config { return config.Default() }

// DefaultSchema returns the schema of a database before anything is set. It
// needs Models, Migrations or Command.
func DefaultSchema() Schema { return config.DefaultSchema() }

// LoadConfig reads the configuration from its file, the environment and flags,
// as `bbmd run` does. The error says everything that is wrong with it.
func LoadConfig(sources Sources) (Config, error) { return config.Load(sources) }

// Option changes how a [Daemon] is made.
type Option func(*options)

type options struct {
	logger       *slog.Logger
	level        *slog.LevelVar
	works        *registry.Registry
	sources      *Sources
	version      string
	process      bool
	pingInterval time.Duration
	longestRetry time.Duration
	longOutage   time.Duration
	telemetry    *telemetry
	turns        chan struct{} // places for databases whose schema is being brought up
}

// longestRetry bounds the waits between attempts to reach a database, before
// jitter: short, since one that starts together with bbmd is waited for.
const longestRetry = 5 * time.Second

// unknownVersion is that of a daemon which was not told its own.
const unknownVersion = "unknown"

func newOptions(given []Option) options {
	o := options{
		logger:       slog.New(slog.DiscardHandler),
		level:        new(slog.LevelVar),
		works:        registry.Default(),
		version:      unknownVersion,
		pingInterval: notify.DefaultPingInterval,
		longestRetry: longestRetry,
		longOutage:   longOutage,
		telemetry:    new(telemetry),
	}
	for _, option := range given {
		option(&o)
	}
	return o
}

// WithLogger sets where the daemon logs to. Defaults to nowhere.
func WithLogger(logger *slog.Logger) Option { return func(o *options) { o.logger = logger } }

// WithLevel gives the daemon the level of its logger to change when log.level
// is reloaded.
func WithLevel(level *slog.LevelVar) Option { return func(o *options) { o.level = level } }

// WithWorks sets the Works that may run. Defaults to [registry.Default].
func WithWorks(works *registry.Registry) Option { return func(o *options) { o.works = works } }

// WithReload makes the daemon load the configuration again from sources, where
// it came from, when its file changes and when SIGHUP arrives (see
// [AsProcess]). Defaults to never.
func WithReload(sources Sources) Option { return func(o *options) { o.sources = &sources } }

// WithVersion sets the version that logs and metrics show. Defaults to unknown.
func WithVersion(version string) Option { return func(o *options) { o.version = version } }

// AsProcess says that the process is the daemon's own: SIGINT and SIGTERM stop
// it, SIGHUP reloads the configuration, and systemd is told how it is doing
// where it wants to know (Type=notify, WatchdogSec). A program that embeds the
// daemon leaves it out and ends the context of Run.
func AsProcess() Option { return func(o *options) { o.process = true } }
