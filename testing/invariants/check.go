package invariants

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/bbmd-dev/bbmd/testing/pgtest"
)

// Querier is a connection, a pool or a transaction.
type Querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

// Check fails the test, and goes on, when an invariant of the migration of that
// name does not hold; it names the invariant and some of the places.
func Check(tb testing.TB, db *pgtest.Database, migration string) {
	tb.Helper()
	report(tb)(Violations(tb.Context(), db.Conn(tb), migration))
}

// Counted fails the test, and goes on, unless every row that a finished job of
// the migration of that name covers has column = 1, and every other row 0. The
// Work is column = column + 1, so that a row which was missed or processed twice shows.
func Counted(tb testing.TB, db *pgtest.Database, migration, column string) {
	tb.Helper()
	report(tb)(Miscounted(tb.Context(), db.Conn(tb), migration, column))
}

func report(tb testing.TB) func([]string, error) {
	tb.Helper()
	return func(violations []string, err error) {
		tb.Helper()
		if err != nil {
			tb.Fatalf("check invariants: %v", err)
		}
		for _, v := range violations {
			tb.Error(v)
		}
	}
}

// examples is how many violations of one rule are named.
const examples = 5

// rule is a query for what violates an invariant: rows of one text. $1 is the
// migration's id.
type rule struct {
	invariant string // as docs name it
	sql       string
}

// Violations returns what violates an invariant of the migration of that name,
// in words; nothing if all is well.
func Violations(ctx context.Context, db Querier, migration string) ([]string, error) {
	m, err := lookUp(ctx, db, migration)
	if err != nil {
		return nil, err
	}
	rules := append(jobRules(), statusRules()...)
	if len(m.key) > 0 {
		rules = append(rules, chainRules(m.key)...)
	}
	recorded, err := isRecorded(ctx, db)
	if err != nil {
		return nil, err
	}
	if recorded {
		rules = append(rules, recordRules()...)
	}
	return m.apply(ctx, db, rules)
}

// subject is the migration that is checked.
type subject struct {
	id    int32
	name  string
	table string
	key   key // empty before the start
}

func lookUp(ctx context.Context, db Querier, migration string) (subject, error) {
	m := subject{name: migration}
	var columns, types, collations []string
	err := db.QueryRow(ctx, subjectSQL, migration).Scan(&m.id, &m.table, &columns, &types, &collations)
	if errors.Is(err, pgx.ErrNoRows) {
		return m, fmt.Errorf("there is no migration named %q", migration)
	}
	if err != nil {
		return m, fmt.Errorf("look up migration %q: %w", migration, err)
	}
	for i := range columns {
		m.key = append(m.key, keyColumn{name: columns[i], typ: types[i], collation: collations[i]})
	}
	return m, nil
}

// A collation is part of how keys compare; the empty string is a type without one.
const subjectSQL = `
SELECT m.id, m.table_name, coalesce(m.key_columns, '{}'), coalesce(m.key_types, '{}'), ARRAY(
  SELECT coalesce((SELECT format(' COLLATE %I.%I', n.nspname, c.collname) FROM pg_catalog.pg_attribute a
    JOIN pg_catalog.pg_collation c ON c.oid = a.attcollation JOIN pg_catalog.pg_namespace n ON n.oid = c.collnamespace
    WHERE a.attrelid = m.table_oid AND a.attname = k.name), '')
  FROM unnest(m.key_columns) WITH ORDINALITY k(name, place) ORDER BY k.place)
FROM bbm.batched_background_migrations m WHERE m.name = $1`

func (m subject) apply(ctx context.Context, db Querier, rules []rule) ([]string, error) {
	var violations []string
	for _, r := range rules {
		rows, err := db.Query(ctx, fmt.Sprintf("SELECT v FROM (%s) violations(v) LIMIT %d", r.sql, examples), m.id)
		if err != nil {
			return nil, fmt.Errorf("%w in: %s", err, r.sql)
		}
		found, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			return nil, fmt.Errorf("%w in: %s", err, r.sql)
		}
		for _, v := range found {
			violations = append(violations, fmt.Sprintf("%s violated by migration %q: %s", r.invariant, m.name, v))
		}
	}
	return violations, nil
}

// key are the key's columns in their order.
type key []keyColumn

type keyColumn struct {
	name      string
	typ       string
	collation string // with a leading COLLATE, or empty
}

// columns renders the key of the rows of an alias.
func (k key) columns(alias string) string {
	all := make([]string, len(k))
	for i, c := range k {
		all[i] = alias + "." + pgx.Identifier{c.name}.Sanitize()
	}
	return strings.Join(all, ", ")
}

// values turns an SQL expression for a rendered key into the key's own types.
func (k key) values(rendered string) string {
	if len(k) == 1 {
		return fmt.Sprintf("(%s)::%s%s", rendered, k[0].typ, k[0].collation)
	}
	all := make([]string, len(k))
	for i, c := range k {
		all[i] = fmt.Sprintf("((%s)::jsonb->>%d)::%s%s", rendered, i, c.typ, c.collation)
	}
	return strings.Join(all, ", ")
}
