package rehearsal

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/bbmd-dev/bbmd/internal/control"
	"github.com/bbmd-dev/bbmd/internal/terminal"
)

// judge looks at what the table has that makes batches dear.
func (s *stage) judge(ctx context.Context) error {
	s.judgeScans()
	for _, part := range []func(context.Context) error{s.judgeIndexes, s.judgeTriggers, s.judgeReferences, s.judgeIdentity} {
		if err := part(ctx); err != nil {
			return err
		}
	}
	for _, w := range s.report.Writes {
		if w.Table != s.subject.Table {
			s.report.add(Note, "writes", fmt.Sprintf("batches also write to %s: %s", w.Table, w.describe()), "")
		}
	}
	return nil
}

func (w *Write) describe() string {
	var parts []string
	for _, part := range []struct {
		n    int64
		what string
	}{{w.Inserted, "inserted"}, {w.Updated, "updated"}, {w.Deleted, "deleted"}} {
		if part.n > 0 {
			parts = append(parts, terminal.Count(part.n)+" rows "+part.what)
		}
	}
	return strings.Join(parts, ", ")
}

// manyRows is how many rows a batch may read by sequential scans without a word.
const manyRows = 10_000

// judgeScans tells of sequential scans that were seen, which is how those of a callback show.
func (s *stage) judgeScans() {
	for table, rows := range s.scanned {
		if each := rows / int64(max(len(s.passed), 1)); each > manyRows {
			s.report.add(Warn, "scans", fmt.Sprintf("each batch read about %s rows of %s by sequential scans", terminal.Count(each), table),
				"create an index on the columns by which its rows are found")
		}
	}
}

// main returns what the batches did to the migration's table.
func (s *stage) main() Write {
	i := slices.IndexFunc(s.report.Writes, func(w Write) bool { return w.Table == s.subject.Table })
	if i < 0 {
		return Write{Table: s.subject.Table}
	}
	return s.report.Writes[i]
}

// index is one index of the table, or of a partition.
type index struct {
	Name    string
	Bytes   int64
	Rows    float64
	Columns []string // in its key, its expressions or its predicate
}

// indexesSQL lists the indexes that keep updates of their columns from being HOT: block
// range indexes do not any more from version 16 on.
const indexesSQL = `
SELECT c.relname::text, pg_catalog.pg_relation_size(c.oid), greatest(c.reltuples, 0)::float8, ARRAY(
  SELECT DISTINCT a.attname::text FROM pg_catalog.pg_attribute a
  WHERE a.attrelid = i.indrelid AND (a.attnum = ANY (i.indkey::int2[]) OR EXISTS (SELECT FROM pg_catalog.pg_depend d
    WHERE d.classid = 'pg_class'::regclass AND d.objid = i.indexrelid AND d.refclassid = 'pg_class'::regclass AND d.refobjid = i.indrelid AND d.refobjsubid = a.attnum)))
FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid JOIN pg_catalog.pg_am am ON am.oid = c.relam
WHERE i.indrelid IN (SELECT $1::oid UNION SELECT relid FROM pg_catalog.pg_partition_tree($1::oid::regclass) WHERE isleaf)
  AND c.relkind = 'i' AND NOT (am.amname = 'brin' AND current_setting('server_version_num')::int >= 160000)
ORDER BY c.relname`

func (s *stage) indexes(ctx context.Context) ([]index, error) {
	rows, err := s.Conn().Query(ctx, indexesSQL, control.Once, s.subject.OID)
	if err != nil {
		return nil, fmt.Errorf("look up the indexes of %s: %w", s.subject.Table, err)
	}
	all, err := pgx.CollectRows(rows, pgx.RowToStructByPos[index])
	if err != nil {
		return nil, fmt.Errorf("look up the indexes of %s: %w", s.subject.Table, err)
	}
	return all, nil
}

// fewHOT is the share of HOT updates below which the indexes cost more than the table.
const fewHOT = 0.5

// judgeIndexes tells why updates are not HOT: each then writes to every index
// of the table, a factor of 2 to 6.
func (s *stage) judgeIndexes(ctx context.Context) error {
	main := s.main()
	if main.Updated == 0 && len(s.passed) > 0 {
		return nil
	}
	indexes, err := s.indexes(ctx)
	if err != nil {
		return err
	}
	written, covering := s.written(indexes)
	few := main.Updated > 0 && float64(main.HOT) < fewHOT*float64(main.Updated)
	switch share := 100 * float64(main.HOT) / float64(max(main.Updated, 1)); {
	case len(covering) > 0:
		s.report.add(Warn, "indexes", fmt.Sprintf("%s %s what the statement writes (%s), so that every updated row writes to all of the table's %d indexes",
			strings.Join(covering, ", "), plural(len(covering), "covers", "cover"), strings.Join(written, ", "), len(indexes)),
			"drop what can be missed meanwhile, and create it again afterwards: that is 2 to 6 times cheaper")
	case few && s.subject.Statement == nil:
		s.report.add(Warn, "indexes", fmt.Sprintf("%.0f %% of the updates are HOT: the others write to all of the table's %d indexes", share, len(indexes)),
			"an index covers what the Work writes, or the table's pages are full")
	case few:
		s.report.add(Note, "indexes", fmt.Sprintf("%.0f %% of the updates are HOT, although no index covers what the statement writes: the table's pages are full, or a trigger writes more", share),
			"a fillfactor below 100 leaves room, from the next rewrite of the table on")
	case main.Updated > 0:
		s.report.add(OK, "indexes", fmt.Sprintf("%.0f %% of the updates are HOT: they write to no index", share), "")
	}
	return nil
}

// written returns the indexed columns that the statement sets, and the indexes that cover them.
func (s *stage) written(indexes []index) (columns, covering []string) {
	if s.subject.Statement == nil {
		return nil, nil
	}
	for _, i := range indexes {
		hit := false
		for _, column := range i.Columns {
			if !s.subject.Statement.Assigns(s.subject.Table, column) {
				continue
			}
			hit = true
			if !slices.Contains(columns, column) {
				columns = append(columns, column)
			}
		}
		if hit {
			covering = append(covering, i.Name)
		}
	}
	return columns, covering
}

func plural(n int, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}
