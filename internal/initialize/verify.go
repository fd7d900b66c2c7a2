package initialize

import (
	"context"

	"github.com/bbmd-dev/bbmd/internal/control"
)

// Verify returns nil when the schema is where the code needs it to be, or further. It
// changes nothing. The error is a [*PendingError] where a migration would bring it there, and a
// [*RefusalError] where a migration would stop too.
func Verify(ctx context.Context, s Spec) error {
	f, err := Inspect(ctx, s)
	if err != nil {
		return err
	}
	return f.verify(s)
}

// VerifyOn is [Verify] on a connection that is there.
func VerifyOn(ctx context.Context, db DB, s Spec) error {
	f, err := InspectOn(ctx, db, s)
	if err != nil {
		return err
	}
	return f.verify(s)
}

func (f Finding) verify(s Spec) error {
	switch {
	case f.State == Ahead, f.Plan.Action == ActNothing:
		return nil
	case s.History == Command && f.State != Empty && f.commandFinished():
		return nil
	case f.Missing, f.Plan.Action != ActStop, f.Plan.refusal.Refusal == RefusedOutOfOrder:
		pending := &PendingError{Database: f.Database, State: f.State}
		for _, step := range f.Pending {
			pending.Pending = append(pending.Pending, step.Version)
		}
		return pending
	default:
		return f.Plan.refusal
	}
}

// commandFinished reports whether the command, which alone knows what is pending, came to an
// end the last time it ran.
func (f Finding) commandFinished() bool {
	return f.last != nil && f.last.Outcome == control.OutcomeFinished
}
