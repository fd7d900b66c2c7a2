package migrations

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/bbmd-dev/bbmd/registry"
)

func init() {
	registry.Register(work[resetCounter]("reset_counter",
		"Sets a counter to the number of rows that refer to its row."))
}

// resetCounter are the arguments of reset_counter.
type resetCounter struct {
	Counter          string  `json:"counter"`           // column to write, as stored
	From             string  `json:"from"`              // table whose rows are counted, as in SQL
	ForeignKey       string  `json:"foreign_key"`       // its column that refers to the counter's row, as stored
	Where            *string `json:"where"`             // in SQL, which of its rows count; null: all
	ReferencedColumn *string `json:"referenced_column"` // what foreign_key refers to; null: the key, if it is one column
}

func (a resetCounter) Validate() error {
	problems := []error{requireText("counter", a.Counter), requireTable("from", a.From), requireText("foreign_key", a.ForeignKey)}
	if a.Where != nil {
		problems = append(problems, requireExpression("where", *a.Where))
	}
	if a.ReferencedColumn != nil {
		problems = append(problems, requireText("referenced_column", *a.ReferencedColumn))
	}
	return join(problems...)
}

// statement leaves a row alone whose counter somebody has changed since the
// count was taken: the count may lack what they counted, and to add the
// difference would be wrong where they have set the counter anew. Verifying finds
// such a row if it is still wrong.
func (a resetCounter) statement(m registry.Migration) (registry.Statement, error) {
	actual, err := a.actual(m, "was")
	if err != nil {
		return registry.Statement{}, err
	}
	same := make([]string, len(m.Key))
	for i, k := range m.Key {
		same[i] = "now." + quote(k.Name) + " = was." + quote(k.Name)
	}
	if len(same) == 0 { // the strategy "null": the batch's rows are locked, and stay where they are
		same = []string{"now.ctid = was.ctid"}
	}
	return registry.ParseStatement(fmt.Sprintf(
		"UPDATE %[1]s AS now SET %[2]s = actual.count FROM %[1]s AS was CROSS JOIN LATERAL %[3]s AS actual"+
			" WHERE :range(now) AND :range(was) AND %[4]s AND was.%[2]s IS DISTINCT FROM actual.count AND now.%[2]s IS NOT DISTINCT FROM was.%[2]s",
		m.Table, quote(a.Counter), actual, strings.Join(same, " AND ")))
}

// actual is the query that counts for one row of the migration's table.
func (a resetCounter) actual(m registry.Migration, row string) (string, error) {
	var referenced string
	switch {
	case a.ReferencedColumn != nil:
		referenced = *a.ReferencedColumn
	case len(m.Key) == 1:
		referenced = m.Key[0].Name
	default:
		return "", errors.New(`the key is not one column: name the one that "foreign_key" refers to in "referenced_column"`)
	}
	from, where := otherTable(m, a.From), ""
	if a.Where != nil {
		where = " AND " + parenthesized(*a.Where)
	}
	return fmt.Sprintf("(SELECT count(*) AS count FROM %[1]s WHERE %[1]s.%[2]s = %[3]s.%[4]s%[5]s)",
		from, quote(a.ForeignKey), row, quote(referenced), where), nil
}

func (a resetCounter) check(ctx context.Context, db registry.Querier, m registry.Migration) error {
	t, err := readTable(ctx, db, m)
	if err != nil {
		return err
	}
	from, err := readOther(ctx, db, otherTable(m, a.From))
	if err != nil {
		return err
	}
	problems := []error{t.requireWritable(a.Counter), from.requireIndex(ctx, db, a.ForeignKey)}
	if a.ReferencedColumn != nil {
		problems = append(problems, t.requireColumn(*a.ReferencedColumn))
	}
	if err := join(problems...); err != nil || a.Where == nil {
		return err
	}
	return from.requireCondition(ctx, db, "where", *a.Where)
}

func (a resetCounter) verification(_ context.Context, _ registry.Querier, m registry.Migration) (registry.Statement, error) {
	actual, err := a.actual(m, "was")
	if err != nil {
		return registry.Statement{}, err
	}
	return registry.ParseStatement(fmt.Sprintf("SELECT count(*) FROM %s AS was WHERE :range(was) AND was.%s IS DISTINCT FROM %s",
		m.Table, quote(a.Counter), actual))
}

func (resetCounter) hint(*pgconn.PgError) string { return "" }
