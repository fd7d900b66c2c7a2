package migrations

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/bbmd-dev/bbmd/registry"
)

func init() {
	registry.Register(work[deleteOrphans]("delete_orphans",
		"Deletes the rows that refer to a row which does not exist."))
}

// deleteOrphans are the arguments of delete_orphans.
type deleteOrphans struct {
	Column           string `json:"column"`            // the reference, as stored; rows with NULL refer to nothing and stay
	References       string `json:"references"`        // table that it refers to, as in SQL
	ReferencedColumn string `json:"referenced_column"` // column of that table, as stored
}

func (a deleteOrphans) Validate() error {
	return join(requireText("column", a.Column), requireTable("references", a.References), requireText("referenced_column", a.ReferencedColumn))
}

func (a deleteOrphans) statement(m registry.Migration) (registry.Statement, error) {
	return registry.ParseStatement("DELETE FROM " + m.Table + " WHERE :range AND " + a.orphaned(m))
}

// orphaned is the condition on the migration's table. OFFSET 0 keeps it from
// becoming a join, for which the planner may read all of the other table's
// index in every batch: row by row it costs one look-up.
func (a deleteOrphans) orphaned(m registry.Migration) string {
	reference := m.Table + "." + quote(a.Column)
	return fmt.Sprintf("%s IS NOT NULL AND NOT EXISTS (SELECT FROM %s AS referenced WHERE referenced.%s = %s OFFSET 0)",
		reference, otherTable(m, a.References), quote(a.ReferencedColumn), reference)
}

func (a deleteOrphans) check(ctx context.Context, db registry.Querier, m registry.Migration) error {
	t, err := readTable(ctx, db, m)
	if err != nil {
		return err
	}
	referenced, err := readOther(ctx, db, otherTable(m, a.References))
	if err != nil {
		return err
	}
	return join(t.requireColumn(a.Column), requireOther(ctx, db, t, referenced), referenced.requireIndex(ctx, db, a.ReferencedColumn))
}

// requireOther refuses a table that refers to itself.
func requireOther(ctx context.Context, db registry.Querier, t, referenced table) error {
	same, err := t.same(ctx, db, referenced)
	if err != nil || !same {
		return err
	}
	return fmt.Errorf("table %s refers to itself: a row that is deleted orphans others, whose batch may be over; find them with a recursive query in execute_sql, or add a foreign key ON DELETE CASCADE", t.name)
}

func (a deleteOrphans) verification(_ context.Context, _ registry.Querier, m registry.Migration) (registry.Statement, error) {
	return count(m, a.orphaned(m))
}

func (deleteOrphans) hint(*pgconn.PgError) string { return "" }
