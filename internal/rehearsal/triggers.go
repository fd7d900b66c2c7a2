package rehearsal

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/bbmd-dev/bbmd/internal/control"
)

// trigger is a trigger of a table that batches write to.
type trigger struct {
	Name     string
	Function string
	Bits     int32    // pg_trigger.tgtype
	Columns  []string // of UPDATE OF; empty: any
}

// The bits of pg_trigger.tgtype.
const (
	forEachRow  = 1 << 0
	beforeEvent = 1 << 1
	onInsert    = 1 << 2
	onDelete    = 1 << 3
	onUpdate    = 1 << 4
)

// triggersSQL lists the triggers that fire for an ordinary session, those of partitions
// under the one name that they share with their parent's.
const triggersSQL = `
SELECT DISTINCT t.tgname::text, t.tgfoid::regproc::text, t.tgtype::int4,
  ARRAY(SELECT a.attname::text FROM pg_catalog.pg_attribute a WHERE a.attrelid = t.tgrelid AND a.attnum = ANY (t.tgattr::int2[]) ORDER BY a.attnum)
FROM pg_catalog.pg_trigger t
WHERE t.tgrelid IN (SELECT $1::oid UNION SELECT relid FROM pg_catalog.pg_partition_tree($1::oid::regclass))
  AND NOT t.tgisinternal AND t.tgenabled IN ('O', 'A') ORDER BY 1`

// judgeTriggers names the triggers that fire on what batches write.
func (s *stage) judgeTriggers(ctx context.Context) error {
	writes := s.report.Writes
	if len(s.passed) == 0 { // nobody knows yet: tell of all that the table has
		writes = []Write{{Table: s.subject.Table, oid: s.subject.OID, Inserted: 1, Updated: 1, Deleted: 1}}
	}
	for _, w := range writes {
		oid := w.oid
		if w.Table == s.subject.Table {
			oid = s.subject.OID
		}
		rows, err := s.Conn().Query(ctx, triggersSQL, control.Once, oid)
		if err != nil {
			return fmt.Errorf("look up the triggers of %s: %w", w.Table, err)
		}
		all, err := pgx.CollectRows(rows, pgx.RowToStructByPos[trigger])
		if err != nil {
			return fmt.Errorf("look up the triggers of %s: %w", w.Table, err)
		}
		for _, t := range all {
			if events := t.firesOn(w, s.sets(w)); events != "" {
				s.tellTrigger(t, w, events)
			}
		}
	}
	return nil
}

// sets returns what tells whether the statement sets a column of that table; nil: nobody knows.
func (s *stage) sets(w Write) func(column string) bool {
	if s.subject.Statement == nil || w.Table != s.subject.Table {
		return nil
	}
	return func(column string) bool { return s.subject.Statement.Assigns(s.subject.Table, column) }
}

// firesOn returns the events of a table's writes that the trigger is for, or "".
func (t *trigger) firesOn(w Write, sets func(column string) bool) string {
	var events []string
	if w.Inserted > 0 && t.Bits&onInsert != 0 {
		events = append(events, "INSERT")
	}
	ofColumns := len(t.Columns) > 0 && sets != nil
	if w.Updated > 0 && t.Bits&onUpdate != 0 && (!ofColumns || slices.ContainsFunc(t.Columns, sets)) {
		events = append(events, "UPDATE")
	}
	if w.Deleted > 0 && t.Bits&onDelete != 0 {
		events = append(events, "DELETE")
	}
	return strings.Join(events, " OR ")
}

func (s *stage) tellTrigger(t trigger, w Write, events string) {
	when := "AFTER "
	if t.Bits&beforeEvent != 0 {
		when = "BEFORE "
	}
	level, each, hint := Note, "statement", ""
	if t.Bits&forEachRow != 0 {
		level, each, hint = Warn, "row", "see that it may run for every row: what it writes, whom it notifies"
	}
	s.report.add(level, "triggers", fmt.Sprintf("trigger %s fires %s%s on %s for each %s: %s()", t.Name, when, events, w.Table, each, t.Function), hint)
}
