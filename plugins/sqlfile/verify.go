package sqlfile

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/bbmd-dev/bbmd/registry"
)

// verification returns the query of the section "verify" as one that returns one
// number, where PostgreSQL demands that it only reads.
func (f *File) verification(constants map[string]string) (registry.Statement, error) {
	text := f.verify.fill(constants)
	if strings.Contains(text, "--") {
		text += "\n" // it may end in a comment
	}
	bound, err := registry.ParseStatement("SELECT ((" + text + ") + 0)::bigint")
	if err != nil {
		return bound, fmt.Errorf("verification of line %d: %w", f.verify.line, err)
	}
	return bound, nil
}

// count returns how many rows of a range are wrong.
func (f *File) count(ctx context.Context, db registry.Querier, b registry.Batch) (wrong int64, err error) {
	constants, err := f.constants(b.Arguments)
	if err != nil {
		return 0, err
	}
	bound, err := f.verification(constants)
	if err != nil {
		return 0, err
	}
	text, err := render(bound, b.Key, b.First)
	if err != nil {
		return 0, fmt.Errorf("verification of line %d: %w", f.verify.line, err)
	}
	if b.Rows == "" && bound.UsesStart() {
		if b.Start, err = firstKey(ctx, db, b); err != nil {
			return 0, err
		}
	}
	var number *int64
	if err := db.QueryRow(ctx, text, values(bound, b)...).Scan(&number); err != nil {
		return 0, fmt.Errorf("verification of line %d: %w", f.verify.line, err)
	}
	if number == nil {
		return 0, fmt.Errorf("verification of line %d returns no number: let it return one row, as count(*) does", f.verify.line)
	}
	return *number, nil
}

// firstKey returns the first key that is left in a range, its end if none is.
func firstKey(ctx context.Context, db registry.Querier, b registry.Batch) (string, error) {
	column := pgx.Identifier{b.Key[0].Name}.Sanitize()
	first := b.End
	err := db.QueryRow(ctx, fmt.Sprintf("SELECT %[1]s::text FROM %[2]s AS ranged WHERE %[3]s ORDER BY ranged.%[1]s LIMIT 1", column, b.Table, b.Where()), b.Args()...).Scan(&first)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return "", fmt.Errorf("find the first key: %w", err)
	}
	return first, nil
}
