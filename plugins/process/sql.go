package process

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/bbmd-dev/bbmd/plugins/process/protocol"
)

// start runs a statement in the task's transaction. Values are texts both ways,
// so that none is rounded or needs a type: PostgreSQL infers those of parameters.
func (t *talk) start(ctx context.Context, s protocol.Statement) (pgx.Rows, error) {
	if t.failed != nil {
		return nil, fmt.Errorf("a statement before has failed, and the transaction is lost: %w", t.failed)
	}
	if err := checkStatement(s.SQL, t.allowed); err != nil {
		return nil, err
	}
	args := make([]any, 0, len(s.Args)+1)
	args = append(args, pgx.QueryResultFormats{pgx.TextFormatCode})
	for _, arg := range s.Args {
		if arg == nil {
			args = append(args, nil)
		} else {
			args = append(args, *arg)
		}
	}
	return t.db.Query(ctx, s.SQL, args...)
}

// exec runs a statement for its effect, and returns how many rows it has affected.
func (t *talk) exec(ctx context.Context, s protocol.Statement) (int64, error) {
	rows, err := t.start(ctx, s)
	if err != nil {
		return 0, err
	}
	rows.Close()
	return rows.CommandTag().RowsAffected(), rows.Err()
}

// query runs a statement for its rows, as many as fit in a line.
func query(ctx context.Context, t *talk, m protocol.Query) (protocol.Host, error) {
	rows, err := t.start(ctx, m.Statement)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	result := protocol.Rows{ID: t.id, Seq: m.Seq, Columns: []protocol.ResultColumn{}, Rows: [][]*string{}}
	size := 0
	for rows.Next() {
		if m.MaxRows > 0 && len(result.Rows) == m.MaxRows {
			result.Truncated = true
			break
		}
		row := texts(rows.RawValues(), &size)
		if size > t.child.options.MaxLine {
			return nil, t.tooMuch()
		}
		result.Rows = append(result.Rows, row)
	}
	for _, field := range rows.FieldDescriptions() {
		result.Columns = append(result.Columns, protocol.ResultColumn{Name: field.Name, OID: field.DataTypeOID})
	}
	rows.Close()
	if err := rows.Err(); err != nil {
		return nil, err
	}
	line, err := protocol.EncodeHost(result)
	switch {
	case err != nil:
		return nil, err
	case len(line) > t.child.options.MaxLine:
		return nil, t.tooMuch()
	default:
		return encoded{result, line}, nil
	}
}

func (t *talk) tooMuch() error {
	return fmt.Errorf("the rows do not fit in a line of %d bytes: select fewer columns, read with max_rows, or make batches smaller", t.child.options.MaxLine)
}

// encoded is a message whose line is there already.
type encoded struct {
	protocol.Host

	line []byte
}

// texts copies a row, and adds what it takes to size.
func texts(raw [][]byte, size *int) []*string {
	row := make([]*string, len(raw))
	for i, value := range raw {
		*size += len(value) + 4 // quotes, or null, and a comma
		if value != nil {
			text := string(value)
			row[i] = &text
		}
	}
	return row
}
