package migrations

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/bbmd-dev/bbmd/registry"
)

func init() {
	registry.Register(work[executeSQL]("execute_sql",
		"Runs any one SQL statement that has :range, or :start and :end, in it."))
}

// executeSQL are the arguments of execute_sql.
type executeSQL struct {
	SQL       string  `json:"sql"`        // see registry.ParseStatement
	VerifySQL *string `json:"verify_sql"` // a query for the number of rows in range that are wrong; null to verify nothing
}

func (a executeSQL) Validate() error {
	return join(requireStatement("sql", a.SQL), a.validateVerify())
}

func (a executeSQL) validateVerify() error {
	if a.VerifySQL == nil {
		return nil
	}
	return requireStatement("verify_sql", *a.VerifySQL)
}

// requireStatement refuses an argument that is not one statement with a range.
func requireStatement(name, value string) error {
	if err := requireText(name, value); err != nil {
		return err
	}
	if _, err := registry.ParseStatement(value); err != nil {
		return fmt.Errorf("argument %q: %w", name, err)
	}
	return nil
}

func (a executeSQL) statement(registry.Migration) (registry.Statement, error) {
	return registry.ParseStatement(a.SQL)
}

func (executeSQL) check(context.Context, registry.Querier, registry.Migration) error { return nil }

// verification puts the query where PostgreSQL demands that it reads only, and
// returns one column, which is a number.
func (a executeSQL) verification(context.Context, registry.Querier, registry.Migration) (registry.Statement, error) {
	if a.VerifySQL == nil {
		return registry.Statement{}, unverifiable(`the arguments have no "verify_sql"`)
	}
	return registry.ParseStatement("SELECT ((" + closable(strings.TrimRight(*a.VerifySQL, "; \t\r\n")) + ") + 0)::bigint")
}

func (executeSQL) hint(*pgconn.PgError) string { return "" }
