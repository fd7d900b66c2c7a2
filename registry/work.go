package registry

import (
	"context"
	"encoding/json"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// Work is the code that processes one batch. Exactly one of Run and SQL is set.
type Work struct {
	// Name is what job_signature_name refers to: 1 to 63 characters, lower case
	// letters, digits and underscores, a letter first.
	Name string

	// Version tells changes of meaning apart. It is recorded when a migration
	// starts, and a replica whose Work has another version leaves the migration
	// alone. Defaults to 1.
	Version int

	// Digest identifies the content of a Work that is not compiled in, as
	// "sha256:…". It is recorded when a migration starts, which goes on only where
	// the Work has the same, or somebody approves. Empty for a compiled Work.
	Digest string

	// Summary is one sentence for people, shown by `bbmd works`.
	Summary string

	// Run processes one batch in the batch's own transaction: what it writes
	// through tx and the job's "finished" commit together or not at all. It must
	// touch only rows in the batch's range, must not end the transaction, and
	// must not use tx after it returned.
	Run func(ctx context.Context, tx pgx.Tx, b Batch) (Result, error)

	// SQL returns the one statement that processes a batch, once per migration.
	// The executor sends it with the job's bookkeeping in one round trip, which
	// makes it the faster form.
	SQL func(m Migration) (Statement, error)

	// Arguments is a pointer to a struct, or nil for a Work that takes none. The
	// migration's arguments are decoded into a new value of its type, unknown
	// fields refused, and validated if it has a method Validate() error.
	Arguments any

	// Accept is asked after that, with arguments that decode, for what their type
	// does not say: for a type that is made while the program runs. Nil accepts all.
	Accept func(arguments json.RawMessage) error

	// Check is asked once, before the migration starts, and returns what is
	// missing: an error that the migration fails with, unless what ended is the
	// connection. Nil means that nothing is checked.
	Check func(ctx context.Context, db Querier, m Migration) error

	// Verify returns how many rows of a range are not as the Work leaves them. A
	// migration is not finished before that is zero for all of its ranges, so
	// Verify must not count what the Work would leave as it is. Its range may span
	// many batches, and Start is not set: use [Batch.Where]. Verify only reads, and
	// may be asked at any time and often. Where the migration's arguments leave
	// nothing to verify it returns an error that wraps [ErrUnverifiable], always for
	// the same arguments, and without having sent a statement that fails. Nil means
	// that the Work cannot be verified.
	Verify func(ctx context.Context, db Querier, b Batch) (wrong int64, err error)
}

// Querier is the part of a connection or transaction that reads. It is one
// session: the rows of one query are read, or closed, before the next one.
type Querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

var (
	_ Querier = (*pgx.Conn)(nil)
	_ Querier = pgx.Tx(nil)
)

// Migration is what a Work may know of the background migration it works for.
type Migration struct {
	Name      string          // unique name of the migration
	Table     string          // schema-qualified and quoted, ready for SQL
	Key       Key             // the key the batches walk along
	Arguments json.RawMessage // a JSON object, validated; never nil
}

// Result is what a batch did.
type Result struct {
	// Rows is the number of rows that were changed, for progress.
	Rows int64
}

// Affected returns the result of a batch that was one statement.
func Affected(tag pgconn.CommandTag) Result { return Result{Rows: tag.RowsAffected()} }
