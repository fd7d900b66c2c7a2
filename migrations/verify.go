package migrations

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/bbmd-dev/bbmd/registry"
)

// verify counts the rows of a batch that are not as the Work leaves them.
func verify(ctx context.Context, db registry.Querier, b registry.Batch, args arguments) (wrong int64, err error) {
	m := registry.Migration{Name: b.Migration, Table: b.Table, Key: b.Key, Arguments: b.Arguments}
	statement, err := args.verification(ctx, db, m)
	if err != nil {
		return 0, err
	}
	text, err := statement.Bind(b.Key, b.First)
	if err != nil {
		return 0, fmt.Errorf("verify: %w", err)
	}
	if statement.UsesStart() {
		if b.After, err = firstKey(ctx, db, b); err != nil {
			return 0, err
		}
	}
	var count *int64
	if err := db.QueryRow(ctx, text, b.Args()...).Scan(&count); err != nil {
		return 0, fmt.Errorf("verify: %w", err)
	}
	if count == nil {
		return 0, errors.New("verify: the statement returns no number: let it return one row, as count(*) does")
	}
	return *count, nil
}

// firstKey returns the first key that is left in the range, the last one's if none is.
func firstKey(ctx context.Context, db registry.Querier, b registry.Batch) (string, error) {
	column := quote(b.Key[0].Name)
	first := b.End
	err := db.QueryRow(ctx, fmt.Sprintf("SELECT %[1]s::text FROM %[2]s AS ranged WHERE %[3]s ORDER BY ranged.%[1]s LIMIT 1", column, b.Table, b.Where()), b.Args()...).Scan(&first)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return "", fmt.Errorf("verify: find the first key: %w", err)
	}
	return first, nil
}

// unverifiable says why there is nothing to verify.
func unverifiable(reason string) error { return fmt.Errorf("%w: %s", registry.ErrUnverifiable, reason) }

// count returns a statement that counts the rows in range that meet a condition.
func count(m registry.Migration, condition string) (registry.Statement, error) {
	return registry.ParseStatement("SELECT count(*) FROM " + m.Table + " WHERE :range AND " + condition)
}

// assigned renders that a column of the table is not as an assignment of value
// leaves it. One that leaves equal values alone may leave another text of them.
func (t table) assigned(name, value string, skipEqual bool) (string, error) {
	c, err := t.column(name)
	if err != nil {
		return "", err
	}
	if skipEqual {
		return quote(name) + " IS DISTINCT FROM " + value, nil
	}
	return differs(quote(name), value, c.Type), nil
}

// differs renders that a column does not hold what assigning value to it would
// have left there, NULL included. It compares the values as they are stored, so
// that it needs no equality, which a type such as json does not have.
func differs(column, value, columnType string) string {
	return "ROW(" + column + ")::record *<> ROW(CAST(" + value + " AS " + columnType + "))::record"
}
