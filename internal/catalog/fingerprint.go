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

// TableData is a summary of the rows of one table, or of a sequence's state.
type TableData struct {
	Name
	// Rows of the table itself, without those of its partitions and
	// children; 1 for a sequence.
	Rows int64 `json:"rows"`
	// Checksum of the rows, in whatever order they are stored. It is comparable
	// with others of the same server only.
	Checksum string `json:"checksum"`
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
	sequenceDataSQL = `SELECT 1::bigint, format('%%s %%s', last_value, is_called) FROM %s`
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
	sql := tableDataSQL
	if h.sequence {
		sql = sequenceDataSQL
	}
	t := TableData{Name: h.Name}
	sql = fmt.Sprintf(sql, pgx.Identifier{h.Schema, h.Table}.Sanitize())
	if err := tx.QueryRow(ctx, sql, pgx.QueryExecModeExec).Scan(&t.Rows, &t.Checksum); err != nil {
		return t, fmt.Errorf("table %s: %w", h.Name, err)
	}
	return t, nil
}

// Changes says, a line per table, how later data differs; nil: not at all.
func (d Data) Changes(later Data) []string {
	before, after := d.byName(), later.byName()
	names := maps.Clone(before)
	maps.Copy(names, after)
	var changes []string
	for _, name := range slices.SortedFunc(maps.Keys(names), Name.compare) {
		b, had := before[name]
		a, has := after[name]
		switch {
		case !has:
			changes = append(changes, fmt.Sprintf("table %s is gone; it had %d rows", name, b.Rows))
		case !had:
			changes = append(changes, fmt.Sprintf("table %s is new; it has %d rows", name, a.Rows))
		case a.Rows != b.Rows:
			changes = append(changes, fmt.Sprintf("table %s has %d rows, had %d", name, a.Rows, b.Rows))
		case a.Checksum != b.Checksum:
			changes = append(changes, fmt.Sprintf("table %s has other rows than before, as many", name))
		}
	}
	return changes
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
