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

// reference is a foreign key from or to the migration's table.
type reference struct {
	Name     string
	Outgoing bool
	Other    string   // the table at its other end
	Columns  []string // of the migration's table
	Action   string   // on delete, for an incoming one: pg_constraint.confdeltype
	Indexed  bool     // an incoming one: the referring rows are found through an index
	Bytes    int64    // of the other table
}

// referencesSQL lists the foreign keys of a table; for an incoming one, whether an index begins with the
// columns that refer.
const referencesSQL = `
SELECT k.conname::text, k.conrelid = $1, format('%I.%I', n.nspname, c.relname),
  ARRAY(SELECT a.attname::text FROM unnest(CASE WHEN k.conrelid = $1 THEN k.conkey ELSE k.confkey END) x(attnum)
    JOIN pg_catalog.pg_attribute a ON a.attrelid = $1 AND a.attnum = x.attnum), k.confdeltype::text,
  EXISTS (SELECT FROM pg_catalog.pg_index i WHERE i.indrelid = k.conrelid AND i.indisvalid AND i.indpred IS NULL
    AND (i.indkey::int2[])[0:cardinality(k.conkey) - 1] @> k.conkey),
  pg_catalog.pg_table_size(c.oid)
FROM pg_catalog.pg_constraint k
JOIN pg_catalog.pg_class c ON c.oid = CASE WHEN k.conrelid = $1 THEN k.confrelid ELSE k.conrelid END
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE k.contype = 'f' AND k.conparentid = 0 AND $1::oid IN (k.conrelid, k.confrelid) ORDER BY 1`

// judgeReferences tells what foreign keys cost: a look-up for each row on
// their other side, or a scan where no index is there.
func (s *stage) judgeReferences(ctx context.Context) error {
	main := s.main()
	if main.Inserted+main.Updated+main.Deleted == 0 && len(s.passed) > 0 {
		return nil
	}
	rows, err := s.Conn().Query(ctx, referencesSQL, control.Once, s.subject.OID)
	if err != nil {
		return fmt.Errorf("look up the foreign keys of %s: %w", s.subject.Table, err)
	}
	all, err := pgx.CollectRows(rows, pgx.RowToStructByPos[reference])
	if err != nil {
		return fmt.Errorf("look up the foreign keys of %s: %w", s.subject.Table, err)
	}
	for _, r := range all {
		if r.Outgoing {
			s.judgeOutgoing(r, main)
		} else {
			s.judgeIncoming(r, main)
		}
	}
	return nil
}

// judgeOutgoing tells of a key that each written row is checked against.
func (s *stage) judgeOutgoing(r reference, main Write) {
	sets := s.sets(main)
	if main.Inserted > 0 || main.Updated > 0 && sets != nil && slices.ContainsFunc(r.Columns, sets) {
		s.report.add(Note, "foreign keys", fmt.Sprintf("each row is checked against %s (%s), and locks the row there", r.Other, r.Name), "")
	}
}

const (
	cascades = "c"
	setsNull = "n"
)

// judgeIncoming tells of a key that holds on to deleted rows.
func (s *stage) judgeIncoming(r reference, main Write) {
	if main.Deleted == 0 {
		return
	}
	switch {
	case !r.Indexed && r.Bytes > smallTable:
		s.report.add(Warn, "foreign keys", fmt.Sprintf("each deleted row reads the whole of %s, %s, for rows that refer to it (%s)", r.Other, terminal.Bytes(r.Bytes), r.Name),
			"create an index there that begins with the columns that refer")
	case r.Action == cascades:
		s.report.add(Warn, "foreign keys", fmt.Sprintf("each deleted row deletes those of %s that refer to it (%s, ON DELETE CASCADE)", r.Other, r.Name), "see that they may go")
	case r.Action == setsNull:
		s.report.add(Note, "foreign keys", fmt.Sprintf("each deleted row changes those of %s that refer to it (%s, ON DELETE SET NULL)", r.Other, r.Name), "")
	default:
		s.report.add(Note, "foreign keys", fmt.Sprintf("each deleted row looks for rows of %s that refer to it (%s)", r.Other, r.Name), "")
	}
}

const identitySQL = `
SELECT c.relreplident::text, ARRAY(SELECT DISTINCT pubname::text FROM pg_catalog.pg_publication_tables
  WHERE (schemaname, tablename) IN (SELECT n.nspname, p.relname FROM pg_catalog.pg_class p JOIN pg_catalog.pg_namespace n ON n.oid = p.relnamespace
    WHERE p.oid IN (SELECT $1::oid UNION SELECT relid FROM pg_catalog.pg_partition_tree($1::oid::regclass))) ORDER BY 1)
FROM pg_catalog.pg_class c WHERE c.oid = $1`

// judgeIdentity tells who else gets every row that is changed.
func (s *stage) judgeIdentity(ctx context.Context) error {
	var identity string
	var publications []string
	if err := s.Conn().QueryRow(ctx, identitySQL, control.Once, s.subject.OID).Scan(&identity, &publications); err != nil {
		return fmt.Errorf("look up the publications of %s: %w", s.subject.Table, err)
	}
	if len(publications) == 0 {
		return nil
	}
	text := "every change is sent to the subscribers of " + strings.Join(publications, ", ")
	const full = "f"
	if identity == full {
		s.report.add(Warn, "publications", text+", with the whole old row (REPLICA IDENTITY FULL), which also goes into the WAL", "a replica identity by a unique index is smaller")
		return nil
	}
	s.report.add(Note, "publications", text, "")
	return nil
}
