package executor

import (
	"context"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"go.opentelemetry.io/otel/trace"

	"github.com/bbmd-dev/bbmd/internal/control"
	"github.com/bbmd-dev/bbmd/internal/throttle"
	"github.com/bbmd-dev/bbmd/registry"
)

// Options are what an [Executor] is made of. All fields are required but Only, Observer and Tracer.
type Options struct {
	// Database is the name that the configuration gives the database.
	Database string

	// Only is the name of the one migration that the executor works on: it
	// neither begins nor takes over nor finishes others, and does not mind its
	// place in the queue. Dependencies, parallelism and one migration at a time on a table
	// hold as ever. Empty: all.
	Only string

	// Pool is the control pool: scans, status changes, take-over. It needs at
	// least two connections, and must be direct or pooled by session.
	Pool *pgxpool.Pool

	// Connect opens a connection of its own for a worker, which the server shows
	// under that application_name. The executor closes it.
	Connect func(ctx context.Context, application string) (*pgx.Conn, error)

	// Store is the control schema.
	Store control.Store

	// Registry holds the Works that may run here. What it answers may change; call
	// [Executor.Wake] then.
	Registry Works

	// Logger gets one line for every change of state.
	Logger *slog.Logger

	// Observer is told what happens, for metrics. Defaults to nobody.
	Observer Observer

	// Tracer records spans: reconcile, claim, batch and, as its children, the batch's
	// statements. Nil records none, and costs nothing.
	Tracer trace.Tracer

	// Settings are the knobs at the start; see [Executor.Configure].
	Settings Settings
}

// Works finds Works by name, as a [registry.Registry] does. Its errors wrap
// [registry.ErrUnknownWork].
type Works interface {
	Lookup(name string) (registry.Work, error)
}

// Settings are the knobs of an executor that may change while it runs. They
// apply to sessions that begin after the change; fewer workers end at their next batch.
type Settings struct {
	// Enabled switches background migrations on. Switched off, running batches
	// are finished, claimed jobs given back, and nothing is scanned.
	Enabled bool

	// OffReason is what migrations that wait while Enabled is false are to say of it: it
	// begins with [control.ReasonOff]. It is written at an event, where the row does not say so
	// already. Empty: nothing is sent to the database.
	OffReason string

	// Workers is how many jobs run at the same time, over all migrations of
	// the database. At least 1.
	Workers int

	// SynchronousCommit is the setting for batches: "off" is safe, since a
	// batch's rows and its bookkeeping are lost or kept together, and faster.
	// Claims and changes of status are always synchronous.
	SynchronousCommit string

	// MaxAttempts is how often a batch may fail before its migration fails,
	// where the migration does not say. At least 1.
	MaxAttempts int

	// TargetDuration is how long one batch is to take, where the migration does
	// not say; sizes are steered towards it. 0: batch_size stays as it is.
	TargetDuration time.Duration

	// Throttle says when batches are kept back. Nil: never.
	Throttle *throttle.Config

	// TakeoverInterval is how often a replica that is not working on a running
	// migration, or on one whose last batches are under way after it was stopped, looks whether its owners still live.
	TakeoverInterval time.Duration

	// StatementTimeout bounds every statement of a batch. 0: no bound.
	StatementTimeout time.Duration

	// LockTimeout bounds the wait for a lock: short, so that a batch yields
	// instead of queueing in front of the application.
	LockTimeout time.Duration

	// ShutdownGrace is how long running batches may take to finish when the executor stops;
	// after that they are cancelled, and their transactions roll back.
	ShutdownGrace time.Duration
}

// DefaultSettings returns the settings of a configuration that says nothing.
func DefaultSettings() Settings {
	return Settings{
		Enabled:           true,
		Workers:           2,
		SynchronousCommit: "off",
		MaxAttempts:       5,
		TargetDuration:    50 * time.Millisecond,
		TakeoverInterval:  2 * time.Second,
		StatementTimeout:  30 * time.Second,
		LockTimeout:       time.Second,
		ShutdownGrace:     30 * time.Second,
	}
}
