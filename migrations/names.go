package migrations

import (
	"context"
	"fmt"
	"regexp"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/bbmd-dev/bbmd/registry"
)

// namePart is one part of a table's name as one writes it in SQL.
const namePart = `("(?:[^"]|"")+"|[\p{L}_][\p{L}\p{N}_$]*)`

// tableName is a table's name, with or without its schema.
var tableName = regexp.MustCompile(`^` + namePart + `(?:\.` + namePart + `)?$`)

// requireTable refuses an argument that is not the name of a table.
func requireTable(name, value string) error {
	if err := requireText(name, value); err != nil {
		return err
	}
	if !tableName.MatchString(value) {
		return fmt.Errorf(`argument %q: %q is not the name of a table: write table or schema.table, with quotes as in SQL`, name, value)
	}
	return nil
}

// otherTable returns the quoted name of a table that an argument names. Without
// a schema it lies beside the migration's own.
func otherTable(m registry.Migration, value string) string {
	parts := tableName.FindStringSubmatch(value)
	if parts == nil {
		return value // not validated; the server says what is wrong with it
	}
	if parts[2] != "" {
		return pgx.Identifier{stored(parts[1]), stored(parts[2])}.Sanitize()
	}
	name := pgx.Identifier{stored(parts[1])}.Sanitize()
	if own := tableName.FindStringSubmatch(m.Table); own != nil && own[2] != "" {
		return pgx.Identifier{stored(own[1])}.Sanitize() + "." + name
	}
	return name
}

// stored returns a name as the catalog holds it.
func stored(part string) string {
	if inner, quoted := strings.CutPrefix(part, `"`); quoted {
		return strings.ReplaceAll(strings.TrimSuffix(inner, `"`), `""`, `"`)
	}
	return strings.Map(func(r rune) rune {
		if r >= 'A' && r <= 'Z' {
			return r + ('a' - 'A')
		}
		return r
	}, part)
}

// noTable says that a table is missing, and which ones are called almost like it.
func noTable(ctx context.Context, db registry.Querier, name string) error {
	rows, err := db.Query(ctx, `
		SELECT n.nspname::text || '.' || c.relname FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
		WHERE c.relkind IN ('r', 'p') AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')`)
	if err != nil {
		return fmt.Errorf("read the names of tables: %w", err)
	}
	known, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return fmt.Errorf("read the names of tables: %w", err)
	}
	plain := name
	if parts := tableName.FindStringSubmatch(name); parts != nil && parts[2] != "" {
		plain = stored(parts[1]) + "." + stored(parts[2])
	}
	return fmt.Errorf("table %s does not exist or has no columns%s", name, registry.Suggestion(plain, known))
}
