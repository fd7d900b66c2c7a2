package initialize

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/bbmd-dev/bbmd/internal/catalog"
	"github.com/bbmd-dev/bbmd/internal/control"
)

// RecreateRequest says who wants a database recreated.
type RecreateRequest struct {
	// Token is the value of force_recreate that asks for it, which is acted upon
	// once. Empty: a person asks, now.
	Token string
	// Reason is told to those whose background migrations are cancelled, and kept in bbm.runs.
	// Empty: that the database is recreated.
	Reason string
}

func (q RecreateRequest) reason() string {
	switch {
	case q.Reason != "":
		return q.Reason
	case q.Token != "":
		return "the database is recreated: force_recreate is " + q.Token
	default:
		return "the database is recreated"
	}
}

// Recreate drops everything but bbmd's own history, whatever state the database is in, and
// creates it anew as if it were [Empty]. Background migrations that are not over are cancelled, and
// it waits until none of their batches runs; executors that hear of it end them.
//
// The guards are refusals: [RefusedDevelopment], [RefusedProduction], and [RefusedConsumed] for a
// token that was acted upon before, which is how all but one of many replicas are answered.
func Recreate(ctx context.Context, s Spec, request RecreateRequest) (Result, error) {
	r, err := newConfigured(s)
	if err != nil {
		return r.result, err
	}
	defer r.close(ctx)
	if err := r.mayRecreate(); err != nil {
		return r.result, err
	}
	if err := r.open(ctx); err != nil {
		return r.result, err
	}
	if err := r.guard(ctx, request); err != nil { // at once, where somebody else is at work for long
		return r.result, err
	}
	err = r.exclusively(ctx, func(ctx context.Context, f Finding) error {
		if err := r.guard(ctx, request); err != nil {
			return err
		}
		return r.recreate(ctx, f, request)
	})
	return r.finish(err)
}

// mayRecreate are the guards that need no database.
func (r *run) mayRecreate() error {
	if !r.spec.Development {
		return &RefusalError{
			Database: r.spec.Database, Refusal: RefusedDevelopment, Reason: "recreating drops everything, and is for development",
			WayOut: "set development_mode: true if this is no database whose rows anybody wants",
		}
	}
	return nil
}

// guard are the guards that are in the database.
func (r *run) guard(ctx context.Context, request RecreateRequest) error {
	store := r.spec.store()
	var known bool
	if err := r.conn.QueryRow(ctx, "SELECT to_regclass($1) IS NOT NULL", control.Once, store.Schema()+".force_recreate_tokens").Scan(&known); err != nil || !known {
		return r.spec.wrap("look", err)
	}
	mark, _, err := store.Production(ctx, r.conn)
	if err != nil {
		return r.spec.wrap("look", err)
	}
	if mark != nil {
		return &RefusalError{
			Database: r.spec.Database, Refusal: RefusedProduction,
			Reason: strings.TrimSpace(fmt.Sprintf("marked as production by %s on %s %s", mark.Who, mark.At.Format(time.DateOnly), mark.Note)),
			WayOut: fmt.Sprintf("if that is wrong: SELECT %s.unmark_production()", store.Schema()),
		}
	}
	if request.Token == "" {
		return nil
	}
	consumed, err := store.TokenConsumed(ctx, r.conn, request.Token)
	if err == nil && consumed {
		return r.consumed(request.Token)
	}
	return r.spec.wrap("look", err)
}

func (r *run) consumed(token string) error {
	return &RefusalError{
		Database: r.spec.Database, Refusal: RefusedConsumed, Reason: fmt.Sprintf("force_recreate %q was acted upon before", token),
		WayOut: "to recreate once more, set another value",
	}
}

// recreate drops and creates. The plan is kept in bbm.runs as it was before the drop.
func (r *run) recreate(ctx context.Context, f Finding, request RecreateRequest) error {
	if r.spec.bootstrap() == FromModels { // nothing is dropped for models that cannot be read
		if _, err := r.readModels(ctx); err != nil {
			return err
		}
	}
	f.Plan = r.recreation()
	if err := r.begin(ctx, f, ActRecreate, request.reason()); err != nil {
		return err
	}
	return r.end(ctx, r.dropAndCreate(ctx, request))
}

// recreation is the plan for a database in whatever state.
func (r *run) recreation() Plan {
	empty := conclude(r.spec, r.files, sight{})
	steps := []Planned{{Does: doesCancel, Detail: "background migrations that are not over"}, {Does: doesDrop, Detail: "everything but schema " + r.spec.controlSchema()}}
	return Plan{Action: ActRecreate, Why: "asked to; then " + empty.Plan.Why, Steps: append(steps, empty.Plan.Steps...)}
}

func (r *run) dropAndCreate(ctx context.Context, request RecreateRequest) error {
	err := r.record.do(ctx, Planned{Does: doesCancel}, func() error {
		if err := r.cancel(ctx, r.conn, request.reason()); err != nil {
			return err
		}
		return r.drain(ctx)
	})
	if err != nil {
		return err
	}
	if err := r.record.do(ctx, Planned{Does: doesDrop}, func() error { return r.drop(ctx, request) }); err != nil {
		return err
	}
	f, err := look(ctx, r.conn, r.spec, r.files)
	switch {
	case err != nil:
		return err
	case f.State != Empty:
		return &FailedError{Database: r.spec.Database, Err: fmt.Errorf("everything was dropped, and it is %s: %s", f.State, f.Reason)}
	case f.UpToDate(): // there is nothing to create yet
		return nil
	default:
		return r.act(ctx, f)
	}
}

func (r *run) cancel(ctx context.Context, db control.DB, reason string) error {
	names, err := r.spec.store().CancelAll(ctx, db, reason)
	if err == nil && len(names) > 0 {
		r.record.note(ctx, "cancelled background migrations: %s", strings.Join(names, ", "))
	}
	return err
}

// drain waits until no live worker has running jobs. Their executors were told by
// the cancellation; each look is woken by what they do, or comes after a pause.
func (r *run) drain(ctx context.Context) error {
	patience, cancel := context.WithTimeoutCause(ctx, r.spec.Limits.Drain, fmt.Errorf("waited for %v: %w", r.spec.Limits.Drain, context.DeadlineExceeded))
	defer cancel()
	if _, err := r.conn.Exec(ctx, "LISTEN bbm_status"); err != nil {
		return err
	}
	for pause := firstPause; ; pause = min(2*pause, longestPause) {
		owners, err := r.spec.store().LiveOwners(ctx, r.conn)
		if err != nil {
			return err
		}
		if len(owners) == 0 {
			_, err := r.conn.Exec(ctx, "UNLISTEN bbm_status")
			return err
		}
		if err := r.hear(patience, pause); err != nil {
			return &BusyError{Database: r.spec.Database, Who: "batches of cancelled background migrations still run: " + workers(owners), Err: err}
		}
	}
}

// hear waits for a notification, but not for longer than a pause.
func (r *run) hear(ctx context.Context, pause time.Duration) error {
	short, cancel := context.WithTimeout(ctx, pause)
	defer cancel()
	_, err := r.conn.WaitForNotification(short)
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case short.Err() != nil:
		return nil
	default:
		return err
	}
}

func workers(owners []control.LiveOwner) string {
	names := make([]string, 0, len(owners))
	for _, o := range owners {
		names = append(names, fmt.Sprintf("%d jobs of owner %d (session %d, %s)", o.Jobs, o.Owner, o.PID, o.Application))
	}
	return few(names)
}

// errBusyAgain says that a background migration was enqueued and began after all were cancelled.
var errBusyAgain = errors.New("a background migration has begun meanwhile")

// drop drops everything, in one transaction with the token that asked for it.
func (r *run) drop(ctx context.Context, request RecreateRequest) error {
	again := func(err error) bool { return contended(err) || errors.Is(err, errBusyAgain) }
	attempt := func() error {
		if err := r.drain(ctx); err != nil {
			return err
		}
		return pgx.BeginFunc(ctx, r.conn, func(tx pgx.Tx) error { return r.dropIn(ctx, tx, request) })
	}
	return r.spec.Limits.retry(ctx, attempt, again, func(err error, pause time.Duration) {
		r.record.note(ctx, "drop: %v; again in %v", err, pause.Round(time.Millisecond))
	})
}

func (r *run) dropIn(ctx context.Context, tx pgx.Tx, request RecreateRequest) error {
	store := r.spec.store()
	if err := setLimits(ctx, tx, r.spec.Limits); err != nil {
		return err
	}
	if err := store.LockMigrations(ctx, tx); err != nil {
		return err
	}
	if err := r.cancel(ctx, tx, request.reason()); err != nil {
		return err
	}
	owners, err := store.LiveOwners(ctx, tx)
	if err != nil {
		return err
	}
	if len(owners) > 0 {
		return errBusyAgain
	}
	if request.Token != "" {
		fresh, err := store.ConsumeToken(ctx, tx, request.Token, r.record.run, hostname())
		if err != nil {
			return err
		}
		if !fresh {
			return r.consumed(request.Token)
		}
	}
	if err := store.ForgetAllApplied(ctx, tx); err != nil {
		return err
	}
	dropped, err := catalog.Drop(ctx, tx, catalog.DropOptions{Keep: []string{r.spec.controlSchema()}})
	if err != nil {
		return r.undroppable(err)
	}
	r.record.note(ctx, "dropping %d objects", len(dropped))
	return nil
}

// undroppable makes a refusal of what the role may not drop.
func (r *run) undroppable(err error) error {
	refused, ok := errors.AsType[*catalog.DropError](err)
	if !ok {
		return err
	}
	return &RefusalError{Database: r.spec.Database, Refusal: RefusedPrivilege, Reason: refused.Error(), Err: err}
}
