package catalog

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/jackc/pgx/v5"
)

// Data is a summary of the rows in a database, in order of schema and table.
type Data []TableData

// TableData is a summary of the rows of one table, or the state of a sequence.
type TableData struct {
	Name
	// Rows of the table itself, without those of its partitions and children.
	Rows int64 `json:"rows"`
	// Checksum of the rows, in whatever order they are stored. It is comparable
	// with others of the same server only. Empty for a sequence.
	Checksum string `json:"checksum,omitempty"`
	// Sequence is nil for a table.
	Sequence *SequenceState `json:"sequence,omitempty"`
}

// SequenceState is where a sequence stands.
type SequenceState struct {
	Last      int64 `json:"last"`   // the value given last, or to be given first
	Called    bool  `json:"called"` // whether it was given
	Increment int64 `json:"increment"`
	Cycle     bool  `json:"cycle,omitempty"` // it begins anew at its end
}

const holdersSQL = definitionsSQL + `
SELECT r.schema, r.name, r.kind = 'sequence' FROM relation r
WHERE r.relkind IN ('r', 'm') OR r.relkind = 'S' AND NOT EXISTS (SELECT FROM pg_depend d
  WHERE d.classid = 'pg_class'::regclass AND d.objid = r.oid AND d.refclassid = 'pg_class'::regclass AND d.refobjsubid > 0 AND d.deptype IN ('a', 'i')
    AND NOT EXISTS (SELECT FROM relation t WHERE t.oid = d.refobjid))
ORDER BY r.schema COLLATE "C", r.name COLLATE "C"`

// The hash of a row is that of its text; their sum does not know an order, and
// counts what is there twice. As numeric it cannot overflow.
const (
	tableDataSQL    = `SELECT count(*), coalesce(sum(hashtextextended((bbmd_row.*)::text COLLATE "C", 0)::numeric), 0)::text FROM ONLY %s bbmd_row`
	sequenceDataSQL = `SELECT s.last_value, s.is_called, q.seqincrement, q.seqcycle FROM %s s JOIN pg_sequence q ON q.seqrelid = s.tableoid`
)

// Fingerprint summarizes the rows of all tables, materialized views and sequences in one snapshot
// of the data. It reads every row, so that only ctx bounds its time. Large
// objects and foreign tables are not looked at. It refuses a table of which row security hides
// rows from the role, rather than leave them out.
func Fingerprint(ctx context.Context, db DB, options Options) (Data, error) {
	data := Data{}
	err := reading(ctx, db, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "SET LOCAL statement_timeout = 0; SET LOCAL row_security = off"); err != nil {
			return err
		}
		holders, err := readHolders(ctx, tx, options)
		if err != nil {
			return err
		}
		for _, h := range holders {
			summary, err := h.read(ctx, tx)
			if err != nil {
				return err
			}
			data = append(data, summary)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("sum up the rows of the database: %w", err)
	}
	return data, nil
}

// holder is a relation that has rows of its own.
type holder struct {
	Name
	sequence bool
}

func readHolders(ctx context.Context, tx pgx.Tx, options Options) ([]holder, error) {
	rows, err := tx.Query(ctx, holdersSQL, options.arguments()...)
	if err != nil {
		return nil, fmt.Errorf("list the tables: %w", err)
	}
	holders, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (holder, error) {
		var h holder
		err := row.Scan(&h.Schema, &h.Table, &h.sequence)
		return h, err
	})
	if err != nil {
		return nil, fmt.Errorf("list the tables: %w", err)
	}
	return holders, nil
}

func (h holder) read(ctx context.Context, tx pgx.Tx) (TableData, error) {
	t := TableData{Name: h.Name}
	sql, kind, into := tableDataSQL, "table", []any{&t.Rows, &t.Checksum}
	if h.sequence {
		t.Sequence = &SequenceState{}
		sql, kind, into = sequenceDataSQL, "sequence", []any{&t.Sequence.Last, &t.Sequence.Called, &t.Sequence.Increment, &t.Sequence.Cycle}
	}
	sql = fmt.Sprintf(sql, pgx.Identifier{h.Schema, h.Table}.Sanitize())
	if err := tx.QueryRow(ctx, sql, pgx.QueryExecModeExec).Scan(into...); err != nil {
		return t, fmt.Errorf("%s %s: %w", kind, h.Name, err)
	}
	return t, nil
}

// Changes says, a line per table, how later data differs; nil: not at all. A
// sequence that has moved on does not count: no transaction keeps others from
// taking numbers, so that it says nothing about who did.
func (d Data) Changes(later Data) []string {
	before, after := d.byName(), later.byName()
	names := maps.Clone(before)
	maps.Copy(names, after)
	var changes []string
	for _, name := range slices.SortedFunc(maps.Keys(names), Name.compare) {
		b, had := before[name]
		a, has := after[name]
		switch {
		case had && has:
			changes = append(changes, b.changes(a)...)
		case had:
			changes = append(changes, fmt.Sprintf("%s is gone; it had %d rows", b, b.Rows))
		default:
			changes = append(changes, fmt.Sprintf("%s is new; it has %d rows", a, a.Rows))
		}
	}
	return changes
}

// changes says how later data of the same table differs.
func (t TableData) changes(later TableData) []string {
	switch {
	case t.Sequence != nil && later.Sequence != nil:
		if !t.Sequence.leadsTo(*later.Sequence) {
			return []string{fmt.Sprintf("%s was set from %d to %d", t, t.Sequence.Last, later.Sequence.Last)}
		}
	case t.Rows != later.Rows:
		return []string{fmt.Sprintf("%s has %d rows, had %d", t, later.Rows, t.Rows)}
	case t.Checksum != later.Checksum:
		return []string{fmt.Sprintf("%s has other rows than before, as many", t)}
	}
	return nil
}

// leadsTo reports whether taking numbers, or nothing at all, leads to the later state.
func (s SequenceState) leadsTo(later SequenceState) bool {
	switch {
	case s.Cycle:
		return true
	case s.Last == later.Last:
		return later.Called || !s.Called
	default:
		return (later.Last > s.Last) == (s.Increment > 0)
	}
}

// String returns the kind and the name.
func (t TableData) String() string {
	if t.Sequence != nil {
		return "sequence " + t.Name.String()
	}
	return "table " + t.Name.String()
}

func (d Data) byName() map[Name]TableData {
	tables := make(map[Name]TableData, len(d))
	for _, t := range d {
		tables[t.Name] = t
	}
	return tables
}

func (n Name) compare(other Name) int {
	return cmp.Or(cmp.Compare(n.Schema, other.Schema), cmp.Compare(n.Table, other.Table))
}
