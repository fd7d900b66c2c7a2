package migrations

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/bbmd-dev/bbmd/registry"
)

func init() {
	registry.Register(work[deleteRows]("delete_rows",
		"Deletes the rows that meet a condition."))
}

// deleteRows are the arguments of delete_rows.
type deleteRows struct {
	Where *string `json:"where"` // in SQL, condition on the rows; null only together with all
	All   bool    `json:"all"`   // delete every row between the migration's bounds
}

func (a deleteRows) Validate() error {
	switch {
	case a.Where != nil && a.All:
		return errors.New(`arguments "where" and "all" exclude each other: leave one out`)
	case a.Where != nil:
		return requireExpression("where", *a.Where)
	case !a.All:
		return errors.New(`argument "where" is missing: name the rows, or write "all": true to delete every one`)
	default:
		return nil
	}
}

func (a deleteRows) statement(m registry.Migration) (registry.Statement, error) {
	text := "DELETE FROM " + m.Table + " WHERE :range"
	if a.Where != nil {
		text += " AND " + parenthesized(*a.Where)
	}
	return registry.ParseStatement(text)
}

func (deleteRows) check(ctx context.Context, db registry.Querier, m registry.Migration) error {
	_, err := readTable(ctx, db, m)
	return err
}

func (a deleteRows) verification(_ context.Context, _ registry.Querier, m registry.Migration) (registry.Statement, error) {
	if a.Where == nil {
		return count(m, "true")
	}
	return count(m, parenthesized(*a.Where))
}

func (deleteRows) hint(*pgconn.PgError) string { return "" }
