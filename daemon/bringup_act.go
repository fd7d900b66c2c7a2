package daemon

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/bbmd-dev/bbmd/internal/config"
	"github.com/bbmd-dev/bbmd/internal/control"
	"github.com/bbmd-dev/bbmd/internal/initialize"
	"github.com/bbmd-dev/bbmd/notify"
)

// failedAttempt is an attempt that came to nothing.
type failedAttempt struct {
	err  error
	seen []byte // what the database and the files were found to be afterwards
}

// spec returns what the schema should be.
func (b *bringup) spec(cfg Config) initialize.Spec {
	return specOf(cfg, b.name, schemaContext{
		dialer: b.dialer, works: b.options.works, logger: b.options.logger, version: b.options.version, telemetry: b.options.telemetry,
	})
}

// migrate brings the schema up. What has failed or was refused is not tried
// again before something is different, in the database or in the files, or
// somebody insists.
func (b *bringup) migrate(ctx context.Context, spec initialize.Spec, insist bool) error {
	if b.failed != nil && !insist && bytes.Equal(b.failed.seen, b.look(ctx, spec)) {
		return b.failed.err
	}
	b.failed = nil
	err := b.run(ctx, func(ctx context.Context) (initialize.Result, error) { return initialize.Apply(ctx, spec) })
	switch initialize.KindOf(err) {
	case initialize.KindTransient, initialize.KindUnreachable:
	default:
		if err != nil {
			b.failed = &failedAttempt{err: err, seen: b.look(ctx, spec)}
		}
	}
	return err
}

// look returns what the database and the files are found to be, in a form that can be
// compared.
func (b *bringup) look(ctx context.Context, spec initialize.Spec) []byte {
	found, err := initialize.Inspect(ctx, spec)
	if err != nil {
		return []byte(err.Error())
	}
	text, err := json.Marshal(found)
	if err != nil {
		return []byte(err.Error())
	}
	return text
}

// run waits for the database's turn, and acts.
func (b *bringup) run(ctx context.Context, act func(context.Context) (initialize.Result, error)) error {
	b.up.Set(errTurn)
	select {
	case b.options.turns <- struct{}{}:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	defer func() { <-b.options.turns }()
	b.up.Set(errUnderWay)
	began := time.Now()
	result, err := act(ctx)
	if result.Changed() {
		b.metrics.SchemaRun(string(result.Action), outcomeOf(err), time.Since(began))
	}
	if kind := initialize.KindOf(err); err != nil && result.Changed() && ctx.Err() == nil && kind != initialize.KindTransient && kind != initialize.KindUnreachable {
		b.options.telemetry.runFailed(b.name, result, err)
	}
	return err
}

// What readiness says before the schema is up.
var (
	errTurn     = errors.New("waits until the schemas of other databases are up")
	errUnderWay = errors.New("is being brought up")
)

func outcomeOf(err error) string {
	if err != nil {
		return control.OutcomeFailed
	}
	return control.OutcomeFinished
}

// recreate recreates the schema, where the configuration asks for it with a token
// that the database has not seen. Every replica tries, and one does it. A
// recreation that a guard refuses is told, and the database left as it is.
func (b *bringup) recreate(ctx context.Context, cfg Config, called bool) error {
	token := cfg.ForceRecreate
	if !cfg.DevelopmentMode || !cfg.Databases[b.name].Schema.Configured() {
		return nil
	}
	settled := b.settled != nil && *b.settled == token
	if settled && !called {
		return nil
	}
	consumed, err := b.announce(ctx, cfg, token, !settled) // once: each would call this replica, too
	if err == nil && !consumed {
		err = b.run(ctx, func(ctx context.Context) (initialize.Result, error) {
			return initialize.Recreate(ctx, b.spec(cfg), initialize.RecreateRequest{Token: string(token)})
		})
	}
	if refusal, ok := errors.AsType[*initialize.RefusalError](err); ok {
		told := settled && b.refused == err.Error()
		if refusal.Refusal != initialize.RefusedConsumed && !told { // consumed: by another replica, just now
			b.log.ErrorContext(ctx, "force_recreate refused", "token", token, "error", err)
		}
		b.refused = err.Error()
		err = nil
	}
	if err == nil {
		b.settled = &token
	}
	return err
}

// announce tells all replicas, if it is to, that a recreation is asked for, unless it has been done for this
// token. The empty token makes true count anew.
func (b *bringup) announce(ctx context.Context, cfg Config, token config.Token, tell bool) (consumed bool, err error) {
	conn, err := b.dialer.Connect(ctx, "bbmd/"+b.name)
	if err != nil {
		return false, &initialize.UnreachableError{Database: b.name, Err: err}
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }() // it is of no more use, whatever the answer
	store := control.NewStore(cfg.ControlSchema)
	if token == "" {
		return true, store.ReleaseToken(ctx, conn, string(config.TokenTrue))
	}
	consumed, err = store.TokenConsumed(ctx, conn, string(token))
	if err == nil && !consumed && tell {
		_, err = conn.Exec(ctx, notify.RaiseSQL, notify.ChannelForceRecreate, string(token))
	}
	return consumed, err
}

// mayCreate reports whether err says that there is no database, and it is ours to create.
func (b *bringup) mayCreate(err error) bool {
	const invalidCatalogName = "3D000"
	refused, ok := errors.AsType[*pgconn.PgError](err)
	b.mu.Lock()
	defer b.mu.Unlock()
	schema := b.config.Databases[b.name].Schema
	return ok && refused.Code == invalidCatalogName && schema.Create && schema.Start() == config.OnStartMigrate
}
