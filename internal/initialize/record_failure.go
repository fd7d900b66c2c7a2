package initialize

import (
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/bbmd-dev/bbmd/internal/control"
)

// failureOf takes an error apart for bbm.runs.
func failureOf(err error) control.RunFailure {
	why := control.RunFailure{Message: err.Error()}
	if step, ok := errors.AsType[*StepError](err); ok {
		why.File, why.Line = step.File, step.Line
	}
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok {
		why.SQLState, why.Hint = pg.Code, pg.Hint
	}
	return why
}

// statementOf returns the statement that failed, for the log of the run: what is in a container's image is gone with it, but for
// this. It is as the file has it, so that nothing is kept that the file does not say: no parameters, and no statement that
// a program has put together. Alembic has said itself what failed.
func statementOf(err error) string {
	step, ok := errors.AsType[*StepError](err)
	if !ok || step.Line == 0 || step.SQL == "" || strings.HasSuffix(step.File, ".py") {
		return ""
	}
	sql := step.SQL
	if strings.Contains(strings.ToLower(sql), "password") {
		sql = "(not shown, as it holds a password)"
	}
	return fmt.Sprintf("%s:%d: the statement that failed: %s\n", step.File, step.Line, sql)
}
