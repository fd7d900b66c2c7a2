package migrations

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/bbmd-dev/bbmd/registry"
)

func init() {
	registry.Register(work[executeSQL]("execute_sql",
		"Runs any one SQL statement that has :range, or :start and :end, in it."))
}

// executeSQL are the arguments of execute_sql.
type executeSQL struct {
	SQL string `json:"sql"` // see registry.ParseStatement
}

func (a executeSQL) Validate() error {
	if err := requireText("sql", a.SQL); err != nil {
		return err
	}
	if _, err := registry.ParseStatement(a.SQL); err != nil {
		return fmt.Errorf("argument \"sql\": %w", err)
	}
	return nil
}

func (a executeSQL) statement(registry.Migration) (registry.Statement, error) {
	return registry.ParseStatement(a.SQL)
}

func (executeSQL) check(context.Context, registry.Querier, registry.Migration) error { return nil }

func (executeSQL) hint(*pgconn.PgError) string { return "" }
