package history

import (
	"context"

	"github.com/jackc/pgx/v5"
)

// DB is what [Find] needs of a connection: a *pgx.Conn, a pgx.Tx or a pool.
type DB interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}

// Record is what one version table says.
type Record struct {
	Tool Tool
	// Schema and Table are the table's names as in the catalog, not quoted.
	Schema, Table string
	// Applied are the versions that count as applied, in the tool's order:
	// rows as the tool identifies them, so that [Files.Compare] understands
	// them. Empty: the table is there and says that nothing was applied.
	Applied []string
	// Current is what a user of the tool calls the current version: the last
	// of Applied for most, all heads for Alembic, the last of each app for Django.
	Current []string
	// Dirty is why the tool would refuse to go on, in words. Empty when clean.
	Dirty string
	// Remedy is a command of the tool's own, or SQL: what mends Dirty, and
	// for a clean table, what marks versions as applied without running them.
	Remedy string
	// Companions are further tables of the tool in that schema, locks for
	// the most part: no more the user's than the version table is.
	Companions []string
}

// Place is where a version table is, or will be made.
type Place struct {
	// Schema, not quoted. Empty: where the search path finds the table, or
	// else the current schema, as the tools themselves do.
	Schema string
	// Table, not quoted. Empty: the tool's default name.
	Table string
}

// Place is where the record was found.
func (r Record) Place() Place { return Place{Schema: r.Schema, Table: r.Table} }

// Step is one schema migration of a history in files.
type Step struct {
	// Version as the version table identifies it.
	Version string
	// Name is what people call it: the rest of the file's name for goose, the
	// first line of the docstring for Alembic.
	Name string
	// File is the path of the file, for messages. Empty for a Go migration
	// that is compiled in without one.
	File string
	// Transactional says that a failure leaves nothing of the step behind, as
	// far as the file tells: false for goose's NO TRANSACTION, for an Alembic
	// revision with an autocommit_block, and where it cannot be told (Go
	// migrations that are registered with goose globally).
	Transactional bool
	// Requires are the background migrations that have to be finished before
	// the step runs: `-- bbmd:require finished NAME` in the header of the
	// file, with # in Python and // in Go.
	Requires []string
	// Checksum is the SHA-256 of the file's bytes, in hexadecimal. Empty
	// where there is no file.
	Checksum string
}

// Files is a history in files, as read by [Open]. It does not change, and is
// good for use by several goroutines.
type Files interface {
	// Tool that runs the history: Goose or Alembic.
	Tool() Tool
	// Dir is where the files are, for messages.
	Dir() string
	// Steps are all steps, each after those that it needs.
	Steps() []Step
	// Heads are what [Files.Stamp] takes for a database where everything is
	// applied: the last version for goose, the rows of the version table for
	// Alembic, where a head that another revision depends on has none.
	Heads() []string
	// Resolve says what an operator typed: "head", "heads", "base", a
	// version, the beginning of one that is unique; for Alembic a branch
	// label, label@head, and several of these with spaces or commas between;
	// for goose the name of a file. It returns heads for [Files.Stamp]: none
	// for base. The error names what there is.
	Resolve(version string) ([]string, error)
	// Until returns the steps that a database at these heads has, in order.
	Until(heads []string) ([]Step, error)
	// Compare holds the files against [Record.Applied].
	Compare(applied []string) Comparison
	// Stamp writes the version table of a database that has everything up to
	// heads, in the caller's transaction, and nothing else: rows that are
	// there and do not belong go away. It makes the table as the tool would.
	Stamp(ctx context.Context, tx pgx.Tx, at Place, heads []string) error
}

// Comparison is the difference between a database and the files.
type Comparison struct {
	// Pending are the steps to run, in an order in which they can run. Of
	// Alembic's independent branches, the tool may take another one first.
	Pending []Step
	// Unknown are applied, and not in the files.
	Unknown []string
	// Ahead says that the database has all steps of the files and, in
	// Unknown, later ones: it is newer than the files. For Alembic it cannot be
	// told from a revision that was lost, so it is false.
	Ahead bool
	// Late are those of Pending that are older than the newest applied one.
	// None for Alembic, whose graph knows no such order.
	Late []Step
	// Refusal is why the tool would not accept these rows, in words: a row of
	// Alembic's that is an ancestor of another. Empty when it would.
	Refusal string
}

// UpToDate reports whether database and files agree.
func (c Comparison) UpToDate() bool {
	return len(c.Pending) == 0 && len(c.Unknown) == 0 && c.Refusal == ""
}
