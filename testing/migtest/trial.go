package migtest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/bbmd-dev/bbmd/registry"
	"github.com/bbmd-dev/bbmd/testing/pgtest"
)

// trial is one check, on a database that Setup has just filled. It is the superuser's: Setup makes what it likes, extensions
// included, and some checks switch triggers off.
type trial struct {
	*Case

	t    testing.TB
	db   *pgtest.Database
	at   subject
	keys []string // of all rows, in their order
	want *outcome
	main *pgx.Conn // where nothing is open from one step to the next; see conn
}

// outcome is what one batch over the whole table leaves.
type outcome struct {
	before, after contents
	values        columnValues // of the rows that are left, or were there if none is
}

// fewestRows is how many rows a table has to have for batches to mean anything.
const fewestRows = 12

func newTrial(tb testing.TB, c *Case, want *outcome) *trial {
	tb.Helper()
	sum := sha256.Sum256([]byte(c.Setup))
	r := &trial{Case: c, t: tb, want: want}
	r.db = pgtest.From(tb, pgtest.Template{
		Hash:      "the case's Setup, " + hex.EncodeToString(sum[:8]),
		Superuser: true,
		Install: func(ctx context.Context, conn *pgx.Conn) error {
			_, err := conn.Exec(ctx, c.Setup)
			return err
		},
	}).Superuser(tb)
	r.look()
	return r
}

// newControlTrial returns a trial whose database has the control schema as well.
func newControlTrial(tb testing.TB, c *Case, want *outcome) *trial {
	tb.Helper()
	r := &trial{Case: c, t: tb, want: want, db: pgtest.New(tb).Superuser(tb)}
	r.db.Exec(tb, c.Setup)
	r.look()
	return r
}

// look reads what the table is now.
func (r *trial) look() {
	r.t.Helper()
	var err error
	conn := r.conn()
	r.at, err = findSubject(r.t.Context(), conn, r.Case)
	r.must(err, "look at the case's table")
	r.keys, err = r.at.keys(r.t.Context(), conn)
	r.must(err, "read the keys of the case's table")
	if len(r.keys) < fewestRows {
		r.t.Fatalf("Setup leaves %d rows in %s: %d are needed for batches to mean anything", len(r.keys), r.at.table, fewestRows)
	}
}

// fresh returns the same trial on another database, as Setup has left it.
func (r *trial) fresh() *trial { return newTrial(r.t, r.Case, r.want) }

// must ends the trial if err is not nil.
func (r *trial) must(err error, doing string) {
	r.t.Helper()
	if err != nil {
		r.t.Fatalf("%s: %v", doing, err)
	}
}

// conn returns the trial's own connection.
func (r *trial) conn() *pgx.Conn {
	r.t.Helper()
	if r.main == nil {
		r.main = r.another()
	}
	return r.main
}

// another opens a further connection, that ends with the trial.
func (r *trial) another() *pgx.Conn {
	r.t.Helper()
	conn, err := connect(r.t.Context(), r.db.URL)
	r.must(err, "connect")
	r.t.Cleanup(func() { hangUp(conn) })
	return conn
}

// begin opens a transaction that is rolled back in the end.
func (r *trial) begin(options pgx.TxOptions) pgx.Tx {
	r.t.Helper()
	tx, err := r.another().BeginTx(r.t.Context(), options)
	r.must(err, "begin")
	return tx
}

// readOnly opens a transaction that cannot write.
func (r *trial) readOnly() pgx.Tx {
	r.t.Helper()
	return r.begin(pgx.TxOptions{AccessMode: pgx.ReadOnly})
}

// read returns what all tables hold.
func (r *trial) read(db registry.Querier) contents {
	r.t.Helper()
	all, err := readContents(r.t.Context(), db, r.Case, r.at)
	r.must(err, "read the tables")
	return all
}

// connect opens a connection with the settings that a worker's has, as far as
// they change what a statement means.
func connect(ctx context.Context, address string) (*pgx.Conn, error) {
	config, err := pgx.ParseConfig(address)
	if err != nil {
		return nil, err
	}
	maps.Copy(config.RuntimeParams, map[string]string{
		"application_name": "migtest",
		"DateStyle":        "ISO", "IntervalStyle": "postgres", "TimeZone": "UTC", "bytea_output": "hex", "extra_float_digits": "1",
		"standard_conforming_strings": "on", "row_security": "off",
		"lock_timeout": "20s", "statement_timeout": "60s",
	})
	return pgx.ConnectConfig(ctx, config)
}

func hangUp(conn *pgx.Conn) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	_ = conn.Close(ctx) // the server ends the session anyway
}
