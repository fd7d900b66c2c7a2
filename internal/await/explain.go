package await

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/bbmd-dev/bbmd/internal/control"
)

// explain says who works on the schema, or why nobody does.
func (l *looker) explain(ctx context.Context) error {
	holder, err := l.store.SchemaLockHolder(ctx, l.conn)
	if err != nil {
		return err
	}
	var last *control.Run
	if l.control {
		runs, err := l.store.RunsWithoutLog(ctx, l.conn, 1)
		if err != nil {
			return err
		}
		if len(runs) > 0 {
			last = &runs[0]
		}
	}
	switch {
	case holder != nil:
		l.blocked = nil // somebody is at it
		l.says = append(l.says, atWork(holder, last))
		return l.required(ctx)
	case last == nil:
		l.says = append(l.says, "no migrator seen: nobody holds the schema's lock, and there was no run yet")
	case last.Outcome == control.OutcomeFailed:
		l.failed(last)
	case last.Outcome == control.OutcomeRunning:
		l.says = append(l.says, fmt.Sprintf("run %d on %s has died, and nobody goes on with it", last.ID, last.Host))
	case last.Outcome == control.OutcomeInterrupted:
		l.says = append(l.says, fmt.Sprintf("run %d on %s was interrupted, and nobody goes on with it", last.ID, last.Host))
	default:
		l.says = append(l.says, fmt.Sprintf("no migrator seen: nobody holds the schema's lock; the last run, %d, ended at %s", last.ID, clock(*last.FinishedAt)))
	}
	return nil
}

// atWork says who holds the lock, and what it is doing.
func atWork(h *control.LockHolder, last *control.Run) string {
	who := []string{fmt.Sprintf("pid %d", h.PID)}
	if h.Application != "" {
		who = append(who, h.Application)
	}
	switch {
	case h.Host != "":
		who = append(who, "on "+h.Host)
	case h.Address != "":
		who = append(who, "from "+h.Address)
	}
	holds := "the lock is held by " + strings.Join(who, ", ")
	if h.Run == 0 || last == nil || last.ID != h.Run {
		return holds
	}
	text := fmt.Sprintf("run %d (%s, since %s)", h.Run, h.Action, clock(h.Since))
	if step := current(last); step != nil {
		text += " is at " + nameOf(step)
		if step.Attempts > 1 {
			text += fmt.Sprintf(", attempt %d", step.Attempts)
		}
	}
	return text + "; " + holds
}

// current is the step that a run is at, nil between steps.
func current(r *control.Run) *control.RunStep {
	for i := range r.Steps {
		if r.Steps[i].FinishedAt == nil {
			return &r.Steps[i]
		}
	}
	return nil
}

func nameOf(step *control.RunStep) string {
	parts := []string{step.Does}
	for _, part := range []*string{step.Version, step.Name} {
		if part != nil && *part != "" {
			parts = append(parts, *part)
		}
	}
	return strings.Join(parts, " ")
}

// failed says which run failed, and blocks.
func (l *looker) failed(r *control.Run) {
	what := fmt.Sprintf("run %d failed", r.ID)
	f := Failure{
		Key: what, Run: r.ID, Host: r.Host, Message: text(r.Error), SQLState: text(r.SQLState), File: text(r.File), Hint: text(r.Hint),
	}
	if r.FinishedAt != nil {
		f.At = *r.FinishedAt
	}
	if r.Line != nil {
		f.Line = *r.Line
	}
	if step := current(r); step != nil {
		what += " at " + nameOf(step)
		if f.File == "" {
			f.File = text(step.File)
		}
	}
	f.What = what
	l.says = append(l.says, what+": "+oneLine(f.Message))
	l.blocked = nil // the failure says more than what it left
	l.block(&FailedError{Failure: f})
}

func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// required says how the background migrations stand that the next step waits for.
func (l *looker) required(ctx context.Context) error {
	if len(l.finding.Pending) == 0 || len(l.finding.Pending[0].Requires) == 0 || !l.control {
		return nil
	}
	all, err := l.store.Progress(ctx, l.conn, control.Selection{Names: l.finding.Pending[0].Requires})
	if err != nil {
		return err
	}
	for i := range all {
		if all[i].Status != control.StatusFinished {
			l.says = append(l.says, "it waits for "+stands(&all[i]))
		}
	}
	return nil
}

// weighMigrations notes which of the migrations have not finished; wanted is the name of the one
// that has to be there, empty for none.
func (l *looker) weighMigrations(ctx context.Context, sel control.Selection, wanted string) error {
	var all []control.Progress
	if l.control {
		var err error
		if all, err = l.store.Progress(ctx, l.conn, sel); err != nil {
			return err
		}
	}
	if len(all) == 0 && wanted != "" {
		l.says = append(l.says, fmt.Sprintf("there is no background migration %s yet", wanted))
	}
	for i := range all {
		l.weighMigration(&all[i])
	}
	return nil
}

func (l *looker) weighMigration(p *control.Progress) {
	f := Failure{Key: fmt.Sprintf("migration %d %s %d", p.ID, p.Status, p.Since.UnixNano()), What: fmt.Sprintf("background migration %s is %s", p.Name, p.Status), At: p.Since}
	switch p.Status {
	case control.StatusFinished:
		return
	case control.StatusFailed:
		f.Message, f.SQLState = text(p.Error), text(p.SQLState)
		f.Hint = "mend the cause, then bbmd retry " + p.Name
		l.block(&FailedError{Failure: f})
	case control.StatusCancelled:
		f.Message = text(p.Reason)
		l.block(&FailedError{Decide: true, Failure: f})
	}
	l.says = append(l.says, stands(p))
}

// stands says how a migration stands, and why where it does not move.
func stands(p *control.Progress) string {
	says := fmt.Sprintf("background migration %s is %s, %.0f %% done", p.Name, p.Status, p.Percent)
	for _, why := range []*string{p.Error, p.Reason, p.Throttled} {
		if why != nil && *why != "" {
			return says + ": " + oneLine(*why)
		}
	}
	return says
}

func clock(at time.Time) string { return at.UTC().Format("15:04:05Z") }
