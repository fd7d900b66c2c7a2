package daemon

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"go.opentelemetry.io/otel/trace"

	"github.com/bbmd-dev/bbmd/internal/config"
	"github.com/bbmd-dev/bbmd/internal/critical"
	"github.com/bbmd-dev/bbmd/internal/executor"
	"github.com/bbmd-dev/bbmd/internal/initialize"
	"github.com/bbmd-dev/bbmd/internal/tracing"
)

// telemetryGrace is how long what is left may take to be sent when the daemon stops.
const telemetryGrace = 5 * time.Second

// telemetry is where traces and critical errors go. Before it has begun, and where nothing
// is configured, nowhere.
type telemetry struct {
	traces *tracing.Provider
	errors *critical.Reporter
}

// begin begins to send, and returns what sends the rest and ends. What cannot be sent keeps
// nothing from running.
func (t *telemetry) begin(ctx context.Context, cfg config.Config, o options) (end func()) {
	var err error
	t.errors, err = critical.New(critical.Options{
		DSN: string(cfg.Sentry.DSN), Environment: cfg.Sentry.Environment, Version: o.version, Logger: o.logger,
	})
	if err != nil {
		o.logger.ErrorContext(ctx, "critical errors are not reported", "error", err)
	}
	getenv := os.Getenv
	if !o.process {
		getenv = nil // the environment is another program's
	}
	t.traces, err = tracing.New(ctx, tracing.Options{Endpoint: cfg.Tracing.Endpoint, Getenv: getenv, Version: o.version, Logger: o.logger})
	if err != nil {
		o.logger.ErrorContext(ctx, "traces are not sent", "error", err)
	}
	return func() { t.end(context.WithoutCancel(ctx), o.logger) }
}

func (t *telemetry) end(ctx context.Context, log *slog.Logger) {
	ctx, cancel := context.WithTimeout(ctx, telemetryGrace)
	defer cancel()
	if err := t.traces.Shutdown(ctx); err != nil {
		log.WarnContext(ctx, "traces not sent", "error", err)
	}
	t.errors.Close(telemetryGrace)
}

func (t *telemetry) tracer() trace.Tracer { return t.traces.Tracer() }

// migrationFailed reports a migration that has failed.
func (t *telemetry) migrationFailed(database string, f executor.MigrationFailure) {
	t.errors.Report(critical.Event{
		Kind: critical.MigrationFailed, Database: database, Migration: f.Migration, Work: f.Work, Table: f.Table,
		Job: f.Job, Range: f.Range, SQLState: f.SQLState,
	})
}

// runFailed reports a run on a schema that has failed.
func (t *telemetry) runFailed(database string, result initialize.Result, err error) {
	event := critical.Event{Kind: critical.RunFailed, Database: database, Run: result.Run, Action: string(result.Action), State: string(result.Before)}
	if step, ok := errors.AsType[*initialize.StepError](err); ok {
		event.File, event.Line = filepath.Base(step.File), step.Line
		if step.File == "" {
			event.File = ""
		}
	}
	if pgErr, ok := errors.AsType[*pgconn.PgError](err); ok {
		event.SQLState = pgErr.Code
	}
	t.errors.Report(event)
}

// sourceDown reports a source of events that has been down for that long.
func (t *telemetry) sourceDown(database string, lasted time.Duration) {
	t.errors.Report(critical.Event{Kind: critical.SourceDown, Database: database, For: lasted})
}

// pluginCrashes reports a plugin whose programs crash again and again.
func (t *telemetry) pluginCrashes(plugin string) {
	t.errors.Report(critical.Event{Kind: critical.PluginCrashes, Plugin: plugin})
}
