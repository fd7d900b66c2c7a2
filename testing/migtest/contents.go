package migtest

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/bbmd-dev/bbmd/registry"
)

// contents are the rows of all tables, as JSON and sorted, by the table's name.
type contents map[string][]string

// relation is a table that holds rows.
type relation struct {
	SQL   string // qualified and quoted
	Name  string // unqualified, as stored
	Table string // qualified name of the table, of which this may be a partition
}

const relationsSQL = `
SELECT format('%I.%I', n.nspname, c.relname), c.relname::text,
	(SELECT format('%I.%I', rn.nspname, rc.relname) FROM pg_catalog.pg_class rc JOIN pg_catalog.pg_namespace rn ON rn.oid = rc.relnamespace
	WHERE rc.oid = coalesce(pg_catalog.pg_partition_root(c.oid), c.oid))
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'r' AND c.relpersistence <> 't' AND n.nspname <> 'bbm' AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'`

// readContents reads all tables but bbmd's own, without the volatile columns.
func readContents(ctx context.Context, db registry.Querier, c *Case, s subject) (contents, error) {
	rows, err := db.Query(ctx, relationsSQL)
	if err != nil {
		return nil, err
	}
	relations, err := pgx.CollectRows(rows, pgx.RowToStructByPos[relation])
	if err != nil {
		return nil, err
	}
	all := contents{}
	for _, relation := range relations {
		rows, err := db.Query(ctx, "SELECT (to_jsonb(r) - $1::text[])::text FROM "+relation.SQL+" r", c.volatile(relation, s))
		if err != nil {
			return nil, err
		}
		lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			return nil, err
		}
		all[relation.Table] = append(all[relation.Table], lines...)
	}
	for _, lines := range all {
		slices.Sort(lines)
	}
	return all, nil
}

// volatile returns the columns of a table that are not compared.
func (c *Case) volatile(of relation, s subject) []string {
	names := []string{writesColumn}
	for _, name := range c.Volatile {
		table, column, qualified := strings.Cut(name, ".")
		switch {
		case qualified && table == of.Name:
			names = append(names, column)
		case !qualified && of.Table == s.table:
			names = append(names, name)
		}
	}
	return names
}

// differences says where the tables hold something else than wanted, "" if nowhere.
func differences(got, want contents) string {
	var lines []string
	for _, table := range tables(got, want) {
		missing, surplus := subtract(want[table], got[table]), subtract(got[table], want[table])
		for _, row := range shortened(missing) {
			lines = append(lines, table+" lacks  "+row)
		}
		for _, row := range shortened(surplus) {
			lines = append(lines, table+" has    "+row)
		}
	}
	return strings.Join(lines, "\n")
}

func tables(a, b contents) []string {
	var names []string
	for _, c := range []contents{a, b} {
		for name := range c {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// subtract returns the rows of a that b does not have, both sorted.
func subtract(a, b []string) []string {
	var rest []string
	for len(a) > 0 {
		switch {
		case len(b) == 0 || a[0] < b[0]:
			rest, a = append(rest, a[0]), a[1:]
		case a[0] == b[0]:
			a, b = a[1:], b[1:]
		default:
			b = b[1:]
		}
	}
	return rest
}

// shortened returns the first few rows, and how many there are more.
func shortened(rows []string) []string {
	const most = 4
	if len(rows) <= most {
		return rows
	}
	return append(slices.Clone(rows[:most]), fmt.Sprintf("… and %d more", len(rows)-most))
}
