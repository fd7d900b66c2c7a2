package daemon

import (
	"context"
	"log/slog"
	"path/filepath"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/bbmd-dev/bbmd/internal/config"
	"github.com/bbmd-dev/bbmd/internal/dial"
	"github.com/bbmd-dev/bbmd/internal/history"
	"github.com/bbmd-dev/bbmd/internal/initialize"
	"github.com/bbmd-dev/bbmd/registry"
)

// schemaContext is what bringing a schema up needs to know besides the configuration.
type schemaContext struct {
	dialer   *dial.Dialer
	works    *registry.Registry
	logger   *slog.Logger
	version  string
	finalize bool // required background migrations run here, instead of being waited for

	telemetry *telemetry // nil: each of these has one of its own
}

// specOf returns what a database's schema should be, and how to get there.
func specOf(cfg Config, name string, c schemaContext) initialize.Spec {
	database := cfg.Databases[name]
	schema := database.Schema
	spec := initialize.Spec{
		Database: name,
		Connect: func(ctx context.Context, application, database string) (*pgx.Conn, error) {
			return c.dialer.ConnectTo(ctx, application, database)
		},
		URL:           database.ProgramURL,
		ControlSchema: cfg.ControlSchema,

		Models:       initialize.Models{Path: schema.Models.Path(), Command: schema.Models.Command()},
		Bootstrap:    bootstrapOf(schema),
		Migrations:   schema.Migrations,
		History:      historyOf(schema),
		Command:      schema.Command.Args(),
		Dir:          schema.Directory,
		URLVariable:  schema.URLVariable,
		VersionTable: schema.VersionTable,
		Baseline:     schema.BaselineVersion,
		Create:       schema.Create,
		OutOfOrder:   initialize.Policy(schema.OutOfOrder),
		EditedFiles:  initialize.Policy(schema.EditedFiles),
		Development:  cfg.DevelopmentMode,
		Limits:       limitsOf(cfg.SchemaMigrations),

		Finalize: func(ctx context.Context, migration string) error {
			_, err := Finalize(ctx, cfg, name, migration, FinalizeOptions{Logger: c.logger, Works: c.works, Version: c.version, telemetry: c.telemetry})
			return err
		},
		FinalizeAlways: c.finalize,

		Version: c.version,
		Logger:  c.logger,
	}
	spec.HistoryOptions, spec.Arguments = alembicOptions(schema)
	return spec
}

func bootstrapOf(s config.Schema) initialize.Bootstrap {
	if s.Bootstrap == config.BootstrapModels && s.Models == "" {
		return "" // models are what the key says before anybody has said anything
	}
	return initialize.Bootstrap(s.Bootstrap)
}

func historyOf(s config.Schema) history.Tool {
	switch {
	case s.History == config.HistoryAuto && s.Migrations == "" && s.Command != "":
		return initialize.Command
	case s.History == config.HistoryAuto:
		return ""
	default:
		return history.Tool(s.History)
	}
}

// limitsOf returns the limits of runs. Where the configuration says 0 for no
// patience, zero would be the default.
func limitsOf(m config.SchemaMigrations) initialize.Limits {
	limits := initialize.Limits{
		LockTimeout: m.LockTimeout, StatementTimeout: m.StatementTimeout, Retry: m.LockPatience, Drain: m.DrainTimeout,
	}
	if limits.Retry == 0 {
		limits.Retry = -time.Nanosecond
	}
	return limits
}

// alembicOptions takes the options that decide where Alembic's revisions are out of
// its arguments, since bbmd reads those by itself.
func alembicOptions(s config.Schema) (opts history.Options, rest []string) {
	opts.WorkDir = s.Directory
	args := s.Arguments.Args()
	for i := 0; i < len(args); i++ {
		name, value, joined := strings.Cut(args[i], "=")
		var into *string
		switch name {
		case "-c", "--config":
			into = &opts.Config
		case "-n", "--name":
			into = &opts.Section
		default:
			rest = append(rest, args[i])
			continue
		}
		if !joined && i+1 < len(args) {
			i++
			value = args[i]
		}
		*into = value
	}
	if opts.Config != "" && opts.WorkDir != "" && !filepath.IsAbs(opts.Config) {
		opts.Config = filepath.Join(opts.WorkDir, opts.Config)
	}
	return opts, rest
}
