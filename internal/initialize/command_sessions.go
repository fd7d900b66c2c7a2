package initialize

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/bbmd-dev/bbmd/internal/control"
)

// briefly does something on a session of its own that has to be done also when ctx has ended.
func briefly(ctx context.Context, to target, what func(context.Context, *pgx.Conn) error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), endTimeout)
	defer cancel()
	conn, err := to.connect(ctx)
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	defer hangUp(ctx, conn)
	return what(ctx, conn)
}

// endSessions ends what a runner, or a program that it started, still has on the server: neither the end
// of a process nor that of its connection ends the statement that the server is at. It returns when none is left.
func endSessions(ctx context.Context, to target) error {
	return briefly(ctx, to, func(ctx context.Context, conn *pgx.Conn) error {
		ended, err := endLeftovers(ctx, conn)
		for _, who := range ended {
			fprintf(to.log, "ended %s\n", who)
		}
		return err
	})
}

// furnish gives a shadow the control schema, for steps that enqueue background migrations. Nobody runs them there.
func furnish(ctx context.Context, s Spec, to target) error {
	if !to.shadow {
		return nil
	}
	conn, err := to.connect(ctx)
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	defer hangUp(ctx, conn)
	return control.Install(ctx, conn, s.ControlSchema)
}
