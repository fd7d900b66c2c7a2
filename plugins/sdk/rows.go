package sdk

import (
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/bbmd-dev/bbmd/plugins/process/protocol"
)

// rows are a query's result, all of which is there.
type rows struct {
	all    protocol.Rows
	fields []pgconn.FieldDescription
	types  *pgtype.Map
	at     int // the row that Next went to, from 1
	closed bool
	err    error
}

var _ pgx.Rows = (*rows)(nil)

func newRows(all protocol.Rows) *rows {
	r := &rows{all: all, types: typeMap()}
	for _, c := range all.Columns {
		r.fields = append(r.fields, pgconn.FieldDescription{Name: c.Name, DataTypeOID: c.OID, Format: pgtype.TextFormatCode})
	}
	return r
}

// Close ends the reading.
func (r *rows) Close() { r.closed = true }

// Err returns the first error.
func (r *rows) Err() error { return r.err }

// CommandTag says how many rows there are, and nothing else.
func (r *rows) CommandTag() pgconn.CommandTag {
	return pgconn.NewCommandTag(fmt.Sprintf("OK %d", len(r.all.Rows)))
}

// FieldDescriptions returns names and types of the columns.
func (r *rows) FieldDescriptions() []pgconn.FieldDescription { return r.fields }

// Next goes to the next row.
func (r *rows) Next() bool {
	if r.closed || r.at >= len(r.all.Rows) {
		r.closed = true
		return false
	}
	r.at++
	if got := len(r.all.Rows[r.at-1]); got != len(r.fields) {
		r.fail(fmt.Errorf("row %d has %d values for %d columns", r.at, got, len(r.fields)))
		return false
	}
	return true
}

func (r *rows) fail(err error) {
	r.closed = true
	if r.err == nil {
		r.err = err
	}
}

// Scan reads the current row.
func (r *rows) Scan(into ...any) error {
	if len(into) == 1 {
		if scanner, ok := into[0].(pgx.RowScanner); ok {
			if err := scanner.ScanRow(r); err != nil {
				r.fail(err)
				return err
			}
			return nil
		}
	}
	if err := pgx.ScanRow(r.types, r.fields, r.RawValues(), into...); err != nil {
		r.fail(err)
		return err
	}
	return nil
}

// Values returns the current row's values as Go's.
func (r *rows) Values() ([]any, error) {
	raw := r.RawValues()
	values := make([]any, len(raw))
	for i, text := range raw {
		if text == nil {
			continue
		}
		known, ok := r.types.TypeForOID(r.fields[i].DataTypeOID)
		if !ok {
			values[i] = string(text)
			continue
		}
		value, err := known.Codec.DecodeValue(r.types, known.OID, pgtype.TextFormatCode, text)
		if err != nil {
			r.fail(err)
			return nil, err
		}
		values[i] = value
	}
	return values, nil
}

// RawValues returns the current row's texts, nil for null.
func (r *rows) RawValues() [][]byte {
	if r.at == 0 || r.at > len(r.all.Rows) {
		return nil
	}
	row := r.all.Rows[r.at-1]
	raw := make([][]byte, len(row))
	for i, text := range row {
		if text != nil {
			raw[i] = []byte(*text)
		}
	}
	return raw
}

// Conn returns nil.
func (r *rows) Conn() *pgx.Conn { return nil }

// TypeMap returns the types by which values are read.
func (r *rows) TypeMap() *pgtype.Map { return r.types }

// row is the first of some rows.
type row struct {
	rows pgx.Rows
	err  error
}

// Scan reads it. Its error is pgx.ErrNoRows where there is none.
func (r row) Scan(into ...any) error {
	if r.err != nil {
		return r.err
	}
	defer r.rows.Close()
	if !r.rows.Next() {
		if err := r.rows.Err(); err != nil {
			return err
		}
		return pgx.ErrNoRows
	}
	return r.rows.Scan(into...)
}
