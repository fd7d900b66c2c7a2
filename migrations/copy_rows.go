package migrations

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/bbmd-dev/bbmd/registry"
)

func init() {
	registry.Register(work[copyRows]("copy_rows",
		"Copies rows into another table, where rows may be already."))
}

// copyRows are the arguments of copy_rows.
type copyRows struct {
	To         string      `json:"to"`          // table to write, as in SQL
	Columns    copyColumns `json:"columns"`     // what its columns get
	Conflict   []string    `json:"conflict"`    // its columns, as stored, in which two rows are the same one
	OnConflict string      `json:"on_conflict"` // what happens to a row that is there: nothing (the default) or update
	Where      *string     `json:"where"`       // in SQL, which rows are copied; null: all

	// Deterministic says that the expressions give the same values as long as the
	// row stays as it is, so that the result can be verified.
	Deterministic bool `json:"deterministic"`
}

const (
	conflictNothing = "nothing"
	conflictUpdate  = "update"
)

func (a copyRows) Validate() error {
	problems := []error{requireTable("to", a.To), a.Columns.validate(), a.validateConflict()}
	if a.Where != nil {
		problems = append(problems, requireExpression("where", *a.Where))
	}
	return join(problems...)
}

func (a copyRows) validateConflict() error {
	if len(a.Conflict) == 0 {
		return errors.New(`argument "conflict" is missing: name the columns of a primary key or unique index of the table in "to"`)
	}
	var problems []error
	for _, name := range a.Conflict {
		if _, ok := a.Columns.source(name); !ok {
			problems = append(problems, fmt.Errorf(`argument "conflict": column %q is not among "columns"%s`, name, registry.Suggestion(name, a.Columns.names())))
		}
	}
	switch a.OnConflict {
	case "", conflictNothing:
	case conflictUpdate:
		if len(a.updated()) == 0 {
			problems = append(problems, errors.New(`argument "on_conflict" is "update", and all columns are in "conflict": nothing is left to update`))
		}
	default:
		problems = append(problems, fmt.Errorf(`argument "on_conflict" is %q: write %q or %q`, a.OnConflict, conflictNothing, conflictUpdate))
	}
	return join(problems...)
}

// updated returns the columns that an update writes.
func (a copyRows) updated() []string {
	return slices.DeleteFunc(a.Columns.names(), func(name string) bool { return slices.Contains(a.Conflict, name) })
}

// statement inserts in the order of the key, so that two batches that meet on
// other unique indexes wait for one another and do not deadlock.
func (a copyRows) statement(m registry.Migration) (registry.Statement, error) {
	if len(m.Key) == 0 {
		return registry.Statement{}, errors.New(`copying leaves the column NULL by which the strategy "null" finds rows: use a key`)
	}
	order := make([]string, len(m.Key))
	for i, k := range m.Key {
		order[i] = m.Table + "." + quote(k.Name)
	}
	return registry.ParseStatement(fmt.Sprintf("INSERT INTO %s AS present (%s) OVERRIDING SYSTEM VALUE SELECT %s FROM %s WHERE :range%s ORDER BY %s ON CONFLICT (%s) DO %s",
		otherTable(m, a.To), quoteAll("", a.Columns.names()), a.Columns.expressions(), m.Table, a.condition(), strings.Join(order, ", "),
		quoteAll("", a.Conflict), a.action()))
}

func (a copyRows) condition() string {
	if a.Where == nil {
		return ""
	}
	return " AND " + parenthesized(*a.Where)
}

// action is what happens to a row that is there already. One that is as it
// should be is left alone.
func (a copyRows) action() string {
	if a.OnConflict != conflictUpdate {
		return "NOTHING"
	}
	updated := a.updated()
	set := make([]string, len(updated))
	for i, name := range updated {
		set[i] = quote(name) + " = EXCLUDED." + quote(name)
	}
	return fmt.Sprintf("UPDATE SET %s WHERE ROW(%s)::record *<> ROW(%s)::record",
		strings.Join(set, ", "), quoteAll("present.", updated), quoteAll("EXCLUDED.", updated))
}

// verification counts the rows that have no counterpart: one that agrees with
// them in the columns of the conflict and, where the copy wins, in all others.
func (a copyRows) verification(ctx context.Context, db registry.Querier, m registry.Migration) (registry.Statement, error) {
	from, to, err := a.tables(ctx, db, m)
	if err != nil {
		return registry.Statement{}, err
	}
	var expected, agree []string
	for _, c := range a.Columns {
		target, err := to.column(c.Name)
		if err != nil {
			return registry.Statement{}, err
		}
		name := quote(c.Name)
		expected = append(expected, fmt.Sprintf("CAST(%s AS %s) AS %s", c.expression(), target.Type, name))
		switch {
		case slices.Contains(a.Conflict, c.Name):
			agree = append(agree, fmt.Sprintf("present.%[1]s = expected.%[1]s", name))
		case a.OnConflict == conflictUpdate && (a.Deterministic || c.plain(from)):
			agree = append(agree, fmt.Sprintf("ROW(present.%[1]s)::record *= ROW(expected.%[1]s)::record", name))
		}
	}
	return registry.ParseStatement(fmt.Sprintf(
		"SELECT count(*) FROM (SELECT %s FROM %s WHERE :range%s) AS expected WHERE NOT EXISTS (SELECT FROM %s AS present WHERE %s OFFSET 0)",
		strings.Join(expected, ", "), m.Table, a.condition(), to.name, strings.Join(agree, " AND ")))
}

// tables reads both tables from the catalog.
func (a copyRows) tables(ctx context.Context, db registry.Querier, m registry.Migration) (from, to table, err error) {
	if from, err = readTable(ctx, db, m); err != nil {
		return from, to, err
	}
	to, err = readOther(ctx, db, otherTable(m, a.To))
	return from, to, err
}

func (copyRows) hint(err *pgconn.PgError) string {
	const noSuchIndex = "42P10"
	if err.Code == noSuchIndex {
		return `name in "conflict" exactly the columns of a primary key or unique index of the table in "to"`
	}
	return ""
}
