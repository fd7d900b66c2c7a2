package migtest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/bbmd-dev/bbmd/registry"
)

// columnsSQL are the columns that an application may write without being
// refused: no key, no unique index, nothing generated.
const columnsSQL = `
SELECT a.attname::text, pg_catalog.format_type(a.atttypid, a.atttypmod)
FROM pg_catalog.pg_attribute a
WHERE a.attrelid = $1::text::regclass AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = '' AND a.attidentity <> 'a'
AND a.attname::text <> ALL ($2) AND NOT EXISTS (
	SELECT FROM pg_catalog.pg_index i WHERE i.indrelid = a.attrelid AND i.indisunique AND (a.attnum = ANY (i.indkey) OR i.indexprs IS NOT NULL))
ORDER BY a.attnum`

// writable returns the columns that a writer may write.
func (r *trial) writable() []registry.Column {
	r.t.Helper()
	key := make([]string, len(r.at.key))
	for i, c := range r.at.key {
		key[i] = c.Name
	}
	rows, err := r.conn().Query(r.t.Context(), columnsSQL, r.at.table, key)
	r.must(err, "read the columns")
	columns, err := pgx.CollectRows(rows, pgx.RowToStructByPos[registry.Column])
	r.must(err, "read the columns")
	return columns
}

// columnValues are the texts of a table's values by column and by the row's key; nil is NULL.
type columnValues map[string]map[string]*string

// rows returns how many rows there are.
func (v columnValues) rows() int {
	for _, column := range v {
		return len(column)
	}
	return 0
}

// values returns those of the columns that a writer may write.
func (r *trial) values() columnValues {
	r.t.Helper()
	conn, values := r.conn(), columnValues{}
	for _, column := range r.writable() {
		rows, err := conn.Query(r.t.Context(), fmt.Sprintf("SELECT %s, %s::text FROM %s", r.at.rendered(), quote(column.Name), r.at.table))
		r.must(err, "read a column")
		values[column.Name] = map[string]*string{}
		var key string
		var value *string
		_, err = pgx.ForEachRow(rows, []any{&key, &value}, func() error {
			values[column.Name][key] = value
			return nil
		})
		r.must(err, "read a column")
	}
	return values
}

// write is what an application does to one row while a migration runs: it gives
// the row the values of another one, in the form that the Work leaves.
type write struct {
	row     registry.Batch
	columns []registry.Column
	values  []*string
}

// exec writes. It is no error that the row is gone.
func (w write) exec(ctx context.Context, tx pgx.Tx) error {
	args := w.row.Args()
	set := make([]string, len(w.columns))
	for i, c := range w.columns {
		args = append(args, w.values[i])
		set[i] = fmt.Sprintf("%s = $%d::%s", quote(c.Name), len(args), c.Type)
	}
	if len(set) == 0 { // a new version of the row, all the same
		name := quote(w.row.Key[0].Name)
		set = []string{name + " = " + name}
	}
	_, err := tx.Exec(ctx, "UPDATE "+w.row.Table+" SET "+strings.Join(set, ", ")+" WHERE "+w.row.Where(), args...)
	return err
}

// takesWrites skips a check about writes of others where the table refuses to
// change a row, as one that is only appended to does: they cannot meet the Work
// there. That a write does not get as far as the table is a failure.
func (r *trial) takesWrites(conn *pgx.Conn) {
	r.t.Helper()
	ctx := r.t.Context()
	tx, err := conn.Begin(ctx)
	r.must(err, "begin")
	err = write{row: r.at.row(r.keys[0])}.exec(ctx, tx)
	r.must(tx.Rollback(ctx), "roll back")
	var refusal *pgconn.PgError
	if errors.As(err, &refusal) && refusal.Code == raised {
		r.t.Skipf("nobody else writes to the table's rows: %v", err)
	}
	r.must(err, "write to one row")
}

// raised is the SQLSTATE of an exception that a trigger raises.
const raised = "P0001"

// writeTo returns a write to one row of a batch after which the Work can still
// process the batch.
func (r *trial) writeTo(conn *pgx.Conn, key string, b registry.Batch) write {
	r.t.Helper()
	ctx := r.t.Context()
	tx, err := conn.Begin(ctx)
	r.must(err, "begin")
	defer func() { r.must(tx.Rollback(ctx), "roll back") }()
	w := write{row: r.at.row(key)}
	for _, column := range r.writable() {
		value, found := r.want.values.other(column.Name, key)
		longer := write{w.row, append(slices.Clone(w.columns), column), append(slices.Clone(w.values), value)}
		if found && r.accepted(tx, longer, b) {
			w = longer
		}
	}
	return w
}

// other returns the column's value in the row with the next key in the order of
// texts, which is the same row for all columns.
func (v columnValues) other(column, key string) (value *string, found bool) {
	keys := slices.Sorted(maps.Keys(v[column]))
	if len(keys) == 0 {
		return nil, false
	}
	i, present := slices.BinarySearch(keys, key)
	if present {
		i++
	}
	return v[column][keys[i%len(keys)]], true
}

// accepted reports whether the table takes a write, and the Work what it leaves.
func (r *trial) accepted(tx pgx.Tx, w write, b registry.Batch) bool {
	r.t.Helper()
	inner, err := tx.Begin(r.t.Context())
	r.must(err, "set a savepoint")
	if err = w.exec(r.t.Context(), inner); err == nil {
		_, err = r.process(r.t.Context(), inner, b)
	}
	r.must(inner.Rollback(r.t.Context()), "roll back to a savepoint")
	return err == nil
}

func quote(name string) string { return pgx.Identifier{name}.Sanitize() }
