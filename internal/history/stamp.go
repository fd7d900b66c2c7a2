package history

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"
)

// Stamp writes a tool's version table so that it says that exactly these
// versions were applied, in the caller's transaction. It makes the table as
// the tool would, deletes rows that do not belong, and leaves alone those that
// do. The versions are rows for Alembic, dbmate and goose (0 is added), and the
// single one that the database is at for golang-migrate and tern (none:
// nothing was applied). Other tools keep what only they can write: their
// [Record.Remedy] says how.
func Stamp(ctx context.Context, tx pgx.Tx, tool Tool, at Place, versions []string) error {
	i := slices.IndexFunc(stampers(), func(s stamper) bool { return s.tool == tool })
	if i < 0 {
		return fmt.Errorf("stamp: %s's version table is not written by bbmd; use the tool's own command", tool.Title())
	}
	s := stampers()[i]
	if err := s.stamp(ctx, tx, at, versions); err != nil {
		return fmt.Errorf("stamp %s: %w", tool.Title(), err)
	}
	return nil
}

// stamper knows how one tool writes its version table.
type stamper struct {
	tool      Tool
	signature signature
	// create is the tool's statement: %[1]s is the table, %[2]s the name of
	// Alembic's key.
	create string
	write  func(context.Context, pgx.Tx, *found, []string) error
}

func stampers() []stamper {
	return []stamper{
		{Alembic, alembicSignature(), createAlembic, writeAlembic},
		{Goose, gooseSignature(), createGoose, writeGoose},
		{GolangMigrate, golangMigrateSignature(), createGolangMigrate, writeGolangMigrate},
		{Tern, ternSignature(), createTern, writeTern},
		{Dbmate, dbmateSignature(), createDbmate, writeDbmate},
	}
}

func (s stamper) stamp(ctx context.Context, tx pgx.Tx, at Place, versions []string) error {
	if at.Table == "" {
		at.Table = s.signature.table
	}
	at, exists, err := locate(ctx, tx, at)
	if err != nil {
		return fmt.Errorf("look for %s: %w", at, err)
	}
	if !exists {
		if _, err := tx.Exec(ctx, fmt.Sprintf(s.create, at.sql(), pgx.Identifier{at.Table + "_pkc"}.Sanitize())); err != nil {
			return fmt.Errorf("create %s: %w", at, err)
		}
	}
	// What another session may be writing is waited for, and nothing is read
	// before that: readers go on.
	if _, err := tx.Exec(ctx, "LOCK TABLE "+at.sql()+" IN SHARE ROW EXCLUSIVE MODE"); err != nil {
		return fmt.Errorf("lock %s: %w", at, err)
	}
	table, err := s.inspect(ctx, tx, at)
	if err != nil {
		return err
	}
	versions = slices.Clone(versions)
	slices.Sort(versions)
	if err := s.write(ctx, tx, table, slices.Compact(versions)); err != nil {
		return fmt.Errorf("write %s: %w", at, err)
	}
	return nil
}

// inspect refuses a table of that name that is not the tool's.
func (s stamper) inspect(ctx context.Context, tx pgx.Tx, at Place) (*found, error) {
	tables, err := candidates(ctx, tx, []string{at.Table}, nil)
	if err != nil {
		return nil, fmt.Errorf("look at %s: %w", at, err)
	}
	own := s.signature
	own.table = at.Table
	for _, t := range tables {
		if t.place() != at {
			continue
		}
		if !own.matches(t) {
			return nil, fmt.Errorf("%s is not a version table of %s: it has the columns %s; name another table, or move it away", at, s.tool.Title(), t.columnNames())
		}
		return t, t.visible()
	}
	return nil, fmt.Errorf("%s is not a table of the user's own: it is a view, temporary, or belongs to an extension", at)
}

// locate says where the table is, or where it has to be made.
func locate(ctx context.Context, tx pgx.Tx, at Place) (Place, bool, error) {
	var schema, current *string
	const sql = `SELECT (SELECT n.nspname::text FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
		WHERE c.oid = pg_catalog.to_regclass($1)), pg_catalog.current_schema()::text`
	if err := tx.QueryRow(ctx, sql, at.sql()).Scan(&schema, &current); err != nil {
		return at, false, err
	}
	switch {
	case schema != nil:
		return Place{Schema: *schema, Table: at.Table}, true, nil
	case at.Schema == "" && current == nil:
		return at, false, errors.New("search_path names no schema that exists: create one, or name the schema")
	case at.Schema == "":
		at.Schema = *current
	}
	return at, false, nil
}
