package migrations

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/bbmd-dev/bbmd/registry"
)

func init() {
	registry.Register(work[copyColumn]("copy_column",
		"Copies a column into another one, cast to its type where asked."))
}

// copyColumn are the arguments of copy_column.
type copyColumn struct {
	From      string  `json:"from"`       // name of the column to read, as stored
	To        string  `json:"to"`         // name of the column to write, as stored
	Cast      *string `json:"cast"`       // in SQL, type to cast to; null where PostgreSQL assigns the one to the other
	SkipEqual bool    `json:"skip_equal"` // leave rows alone that have the value already
}

func (a copyColumn) Validate() error {
	problems := []error{requireText("from", a.From), requireText("to", a.To)}
	if a.Cast != nil {
		problems = append(problems, requireExpression("cast", *a.Cast))
	}
	if a.From != "" && a.From == a.To {
		problems = append(problems, errors.New(`arguments "from" and "to" name the same column`))
	}
	return join(problems...)
}

func (a copyColumn) statement(m registry.Migration) (registry.Statement, error) {
	to, value := quote(a.To), a.value()
	text := "UPDATE " + m.Table + " SET " + to + " = " + value + " WHERE :range"
	if a.SkipEqual {
		text += " AND " + to + " IS DISTINCT FROM " + value
	}
	return registry.ParseStatement(text)
}

// value is what the column is set to.
func (a copyColumn) value() string {
	if a.Cast != nil {
		return "CAST(" + quote(a.From) + " AS " + closable(*a.Cast) + ")"
	}
	return quote(a.From)
}

func (a copyColumn) check(ctx context.Context, db registry.Querier, m registry.Migration) error {
	t, err := readTable(ctx, db, m)
	if err != nil {
		return err
	}
	return join(t.requireColumn(a.From), t.requireWritable(a.To))
}

func (a copyColumn) verification(ctx context.Context, db registry.Querier, m registry.Migration) (registry.Statement, error) {
	t, err := readTable(ctx, db, m)
	if err != nil {
		return registry.Statement{}, err
	}
	wrong, err := t.assigned(a.To, a.value(), a.SkipEqual)
	if err != nil {
		return registry.Statement{}, err
	}
	return count(m, wrong)
}

func (a copyColumn) hint(err *pgconn.PgError) string {
	const datatypeMismatch = "42804"
	if err.Code == datatypeMismatch && a.Cast == nil {
		return `name the type to cast to in "cast"`
	}
	return skipEqualHint(a.SkipEqual, err)
}
