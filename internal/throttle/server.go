package throttle

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"
)

// DB is what a [Sampler] needs of a pool: [*pgxpool.Pool] has it. It uses one
// session for a few milliseconds at a time, and one more per custom query.
type DB interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	BeginTx(ctx context.Context, options pgx.TxOptions) (pgx.Tx, error)
}

// server reads signals. Tests have another one.
type server interface {
	// read returns the value of each query, in one statement.
	read(ctx context.Context, queries []string, args pgx.NamedArgs) ([][]byte, error)
	// custom runs a query of the operator's.
	custom(ctx context.Context, key customKey) (answer, error)
}

type postgres struct{ db DB }

// readTimeout bounds the reading of all signals that are due.
const readTimeout = 2 * time.Second

// activity has all sessions but the one that reads. A role that may not see
// what another role's session does sees that it is there, its
// application_name and its transaction ids.
const activity = `WITH activity AS MATERIALIZED (
  SELECT datid, pid, application_name, state, wait_event_type, wait_event, xact_start, state_change, client_addr, backend_xid, backend_xmin, backend_type,
    application_name LIKE 'bbmd/%' OR pid = ANY (@pids::int4[]) AS ours,
    backend_type IS NULL AND usesysid IS NOT NULL AND datid IS NOT NULL AS secret
  FROM pg_stat_get_activity(NULL) WHERE pid <> pg_backend_pid())
`

// statement reads all of the queries at once.
func statement(queries []string) string {
	return activity + "SELECT " + strings.Join(queries, ",\n")
}

func (p postgres) read(ctx context.Context, queries []string, args pgx.NamedArgs) ([][]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	rows, err := p.db.Query(ctx, statement(queries), args)
	if err != nil {
		return nil, fmt.Errorf("read signals: %w", err)
	}
	answers, err := pgx.CollectExactlyOneRow(rows, func(row pgx.CollectableRow) (answers [][]byte, err error) {
		for _, value := range row.RawValues() {
			answers = append(answers, slices.Clone(value))
		}
		return answers, nil
	})
	if err != nil {
		return nil, fmt.Errorf("read signals: %w", err)
	}
	return answers, nil
}

// custom runs the query where it can write nothing, under a time-out of the
// server's own, which frees the server as well.
func (p postgres) custom(ctx context.Context, key customKey) (a answer, err error) {
	timeout := time.Duration(key.timeout)
	ctx, cancel := context.WithTimeout(ctx, timeout+readTimeout)
	defer cancel()
	tx, err := p.db.BeginTx(ctx, pgx.TxOptions{AccessMode: pgx.ReadOnly})
	if err != nil {
		return a, fmt.Errorf("begin: %w", err)
	}
	defer func() {
		if rollback := tx.Rollback(ctx); err == nil && rollback != nil && !errors.Is(rollback, pgx.ErrTxClosed) {
			err = fmt.Errorf("roll back: %w", rollback)
		}
	}()
	if _, err := tx.Exec(ctx, "SELECT set_config('statement_timeout', $1, true)", fmt.Sprintf("%dms", timeout.Milliseconds())); err != nil {
		return a, fmt.Errorf("set the time-out: %w", err)
	}
	rows, err := tx.Query(ctx, key.sql)
	if err != nil {
		return a, brief(err)
	}
	defer rows.Close()
	value, isText, err := single(rows)
	if err != nil {
		return a, brief(err)
	}
	return toAnswer(value, isText)
}

// single reads the one column of at most one row.
func single(rows pgx.Rows) (value any, isText bool, err error) {
	fields := rows.FieldDescriptions()
	if len(fields) != 1 {
		rows.Close()
		if err := rows.Err(); err != nil {
			return nil, false, err
		}
		return nil, false, fmt.Errorf("the query returns %d columns: it has to return one", len(fields))
	}
	isText = slices.Contains([]uint32{pgtype.TextOID, pgtype.VarcharOID, pgtype.BPCharOID, pgtype.NameOID, pgtype.UnknownOID}, fields[0].DataTypeOID)
	n := 0
	for ; rows.Next(); n++ {
		if n > 0 {
			return nil, isText, errors.New("the query returns several rows: it has to return one at most")
		}
		if value, err = decoded(rows, fields[0]); err != nil {
			return nil, isText, err
		}
	}
	return value, isText, rows.Err()
}

// decoded is a value as a bool, a float64 or a string.
func decoded(rows pgx.Rows, field pgconn.FieldDescription) (any, error) {
	if rows.RawValues()[0] == nil {
		return nil, nil
	}
	switch field.DataTypeOID {
	case pgtype.Int2OID, pgtype.Int4OID, pgtype.Int8OID, pgtype.Float4OID, pgtype.Float8OID, pgtype.NumericOID:
		var number float64
		if err := rows.Scan(&number); err != nil {
			return nil, fmt.Errorf("read the number: %w", err)
		}
		return number, nil
	}
	values, err := rows.Values()
	if err != nil {
		return nil, fmt.Errorf("read the value: %w", err)
	}
	return values[0], nil
}

// brief says what the server said, in one line.
func brief(err error) error {
	if pgErr, ok := errors.AsType[*pgconn.PgError](err); ok {
		return fmt.Errorf("%s (SQLSTATE %s)", pgErr.Message, pgErr.Code)
	}
	return err
}
