package migrations

import (
	"context"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/bbmd-dev/bbmd/registry"
)

func init() {
	registry.Register(work[backfillColumn]("backfill_column",
		"Sets a column to an SQL expression."))
}

// backfillColumn are the arguments of backfill_column.
type backfillColumn struct {
	Column     string  `json:"column"`     // its name as stored, without quotes
	Expression string  `json:"expression"` // in SQL, may name the row's columns
	Where      *string `json:"where"`      // in SQL, further condition on the rows; null for none
	SkipEqual  bool    `json:"skip_equal"` // leave rows alone that have the value already

	// Deterministic says that the expression gives the same value as long as the
	// row stays as it is, so that the result can be verified.
	Deterministic bool `json:"deterministic"`
}

func (a backfillColumn) Validate() error {
	problems := []error{requireText("column", a.Column), requireExpression("expression", a.Expression)}
	if a.Where != nil {
		problems = append(problems, requireExpression("where", *a.Where))
	}
	return join(problems...)
}

func (a backfillColumn) statement(m registry.Migration) (registry.Statement, error) {
	name, value := quote(a.Column), parenthesized(a.Expression)
	text := "UPDATE " + m.Table + " SET " + name + " = " + value + " WHERE :range"
	if a.Where != nil {
		text += " AND " + parenthesized(*a.Where)
	}
	if a.SkipEqual {
		text += " AND " + name + " IS DISTINCT FROM " + value
	}
	return registry.ParseStatement(text)
}

func (a backfillColumn) check(ctx context.Context, db registry.Querier, m registry.Migration) error {
	t, err := readTable(ctx, db, m)
	if err != nil {
		return err
	}
	return t.requireWritable(a.Column)
}

func (a backfillColumn) verification(ctx context.Context, db registry.Querier, m registry.Migration) (registry.Statement, error) {
	if !a.Deterministic {
		return registry.Statement{}, unverifiable(`the arguments do not say "deterministic": true`)
	}
	t, err := readTable(ctx, db, m)
	if err != nil {
		return registry.Statement{}, err
	}
	wrong, err := t.assigned(a.Column, parenthesized(a.Expression), a.SkipEqual)
	if err != nil {
		return registry.Statement{}, err
	}
	if a.Where != nil {
		wrong = parenthesized(*a.Where) + " AND " + wrong
	}
	return count(m, wrong)
}

func (a backfillColumn) hint(err *pgconn.PgError) string {
	return skipEqualHint(a.SkipEqual, err)
}

// skipEqualHint is about types that cannot be compared, such as json.
func skipEqualHint(skipEqual bool, err *pgconn.PgError) string {
	const undefinedFunction = "42883"
	if skipEqual && err.Code == undefinedFunction {
		return `values are compared because of "skip_equal": leave it out where the column's type has no equality`
	}
	return ""
}
