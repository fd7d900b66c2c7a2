package initialize

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/bbmd-dev/bbmd/internal/control"
	"github.com/bbmd-dev/bbmd/internal/history"
)

// require returns when every background migration that step requires has finished. Its
// errors are [*StepError]s of the step. A shadow has no rows that a background
// migration would have to change.
func require(ctx context.Context, s Spec, to target, step history.Step) error {
	if to.shadow || len(step.Requires) == 0 {
		return nil
	}
	for _, name := range step.Requires {
		w := wait{spec: s, to: to, name: name, step: step}
		if err := w.finished(ctx); err != nil {
			return &StepError{Version: step.Version, Name: step.Name, File: step.File, Err: err}
		}
	}
	return nil
}

// wait waits for one background migration.
type wait struct {
	spec Spec
	to   target
	name string
	step history.Step
	told string // what was said of it last
}

// inline reports whether the migration is run here instead of waiting for a daemon.
func (w *wait) inline() bool { return w.spec.Finalize != nil && (w.to.fresh || w.spec.FinalizeAlways) }

func (w *wait) finished(ctx context.Context) error {
	conn, err := w.to.connect(ctx)
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	defer hangUp(ctx, conn)
	// Before the first look, so that nothing falls between.
	if _, err := conn.Exec(ctx, "LISTEN bbm_status; LISTEN bbm_progress"); err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	migration, err := w.look(ctx, conn)
	if err != nil || migration == nil || migration.Status == control.StatusFinished {
		return err
	}
	if w.inline() {
		return w.finalize(ctx, conn)
	}
	if err := w.tell(ctx, conn, migration); err != nil {
		return err
	}
	if w.spec.Limits.Finish > 0 {
		limit := fmt.Errorf("%s has not finished within %s: %w", w.name, w.spec.Limits.Finish, context.DeadlineExceeded)
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, w.spec.Limits.Finish, limit)
		defer cancel()
	}
	return w.because(ctx, w.follow(ctx, conn))
}

// follow waits for events until the migration has finished.
func (w *wait) follow(ctx context.Context, conn *pgx.Conn) error {
	for {
		if err := event(ctx, conn, pingEvery); err != nil {
			return err
		}
		migration, err := w.look(ctx, conn)
		if err != nil || migration == nil || migration.Status == control.StatusFinished {
			return err
		}
		if err := w.tell(ctx, conn, migration); err != nil {
			return err
		}
	}
}

// because says why the waiting ended, where it is the context, and how things stood.
func (w *wait) because(ctx context.Context, err error) error {
	if err == nil || ctx.Err() == nil {
		return err
	}
	return fmt.Errorf("%w: %s", interrupted(ctx, err), w.told)
}

// pingEvery proves the connection, and shows what changed without an event: the
// reason why a migration does not move.
const pingEvery = time.Minute

// event waits for news, at most for so long.
func event(ctx context.Context, conn *pgx.Conn, most time.Duration) error {
	until, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	_, err := conn.WaitForNotification(until)
	if err != nil && (ctx.Err() != nil || !pgconn.Timeout(err)) {
		return fmt.Errorf("wait for events: %w", err)
	}
	return nil
}

// look returns how far the migration is, or nil where nothing is to be waited for. A
// migration that will not finish by itself is an error.
func (w *wait) look(ctx context.Context, conn *pgx.Conn) (*control.Progress, error) {
	all, err := w.spec.store().Progress(ctx, conn, control.Selection{Names: []string{w.name}})
	if err != nil {
		return nil, err
	}
	if len(all) == 0 && w.to.fresh {
		fprintf(w.to.log, "%s requires %s, which was never enqueued here: this database has no rows yet\n", placeOf(w.step), w.name)
		return nil, nil //nolint:nilnil // there is nothing to wait for
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("it requires that %s has finished, and there is no background migration of that name: enqueue it, in a migration before this one or with bbmd enqueue", w.name)
	}
	migration := &all[0]
	switch migration.Status {
	case control.StatusFailed:
		why := "no reason is recorded"
		if migration.Error != nil {
			why = *migration.Error
		}
		return nil, fmt.Errorf("it requires that %s has finished, and that has failed: %s: mend the cause, then bbmd retry %s", w.name, why, w.name)
	case control.StatusCancelled:
		return nil, fmt.Errorf("it requires that %s has finished, and that is cancelled: enqueue it anew under another name, and require that", w.name)
	default:
		return migration, nil
	}
}

// finalize runs the rest of the migration in this process, and looks that it has finished.
func (w *wait) finalize(ctx context.Context, conn *pgx.Conn) error {
	fprintf(w.to.log, "%s requires %s: it is run now\n", placeOf(w.step), w.name)
	if err := w.spec.Finalize(ctx, w.name); err != nil {
		if ctx.Err() != nil {
			return interrupted(ctx, err)
		}
		return fmt.Errorf("it requires that %s has finished: run it: %w", w.name, err)
	}
	migration, err := w.look(ctx, conn)
	if err == nil && migration != nil && migration.Status != control.StatusFinished {
		err = fmt.Errorf("it requires that %s has finished, and after it was run it is %s", w.name, migration.Status)
	}
	return err
}

// tell says how far the migration is and why it does not move, when that is something else than before.
func (w *wait) tell(ctx context.Context, conn *pgx.Conn, p *control.Progress) error {
	text := fmt.Sprintf("%s is %s, %.0f %% done", w.name, p.Status, p.Percent)
	switch {
	case p.Status == control.StatusPaused:
		text += fmt.Sprintf(": bbmd resume %s lets it go on", w.name)
	case p.Reason != nil:
		text += ": " + *p.Reason
	}
	if p.Status != control.StatusPaused {
		attended, err := w.spec.store().Attended(ctx, conn)
		if err != nil {
			return err
		}
		if !attended {
			text += ": no daemon is connected to this database: start bbmd run, or let this run do it (--finalize)"
		}
	}
	if text != w.told {
		w.told = text
		fprintf(w.to.log, "%s waits: %s\n", placeOf(w.step), text)
	}
	return nil
}
