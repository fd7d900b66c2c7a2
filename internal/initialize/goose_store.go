package initialize

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3/database"

	"github.com/bbmd-dev/bbmd/internal/history"
)

// gooseStore is goose's own version table under its full name, whatever the name is, and
// whatever a migration did to the search path.
type gooseStore struct {
	database.Store
	at    history.Place
	ready func() error // returns when the step may begin; its error is the step's
}

var _ database.StoreExtender = (*gooseStore)(nil)

func newGooseStore(at history.Place) (*gooseStore, error) {
	store, err := database.NewStore(database.DialectPostgres, pgx.Identifier{at.Schema, at.Table}.Sanitize())
	if err != nil {
		return nil, fmt.Errorf("open goose's version table: %w", err)
	}
	return &gooseStore{Store: store, at: at}, nil
}

// bookkeeping marks the context of statements that are goose's own.
type bookkeeping struct{}

func mark(ctx context.Context) context.Context { return context.WithValue(ctx, bookkeeping{}, true) }

func isBookkeeping(ctx context.Context) bool { return ctx.Value(bookkeeping{}) != nil }

// TableExists is an optional part of a store.
func (s *gooseStore) TableExists(ctx context.Context, db database.DBTxConn) (bool, error) {
	var exists bool
	err := db.QueryRowContext(mark(ctx), "SELECT EXISTS (SELECT FROM pg_catalog.pg_tables WHERE schemaname = $1 AND tablename = $2)", s.at.Schema, s.at.Table).Scan(&exists)
	return exists, err
}

// CreateVersionTable is a part of a store.
func (s *gooseStore) CreateVersionTable(ctx context.Context, db database.DBTxConn) error {
	return s.Store.CreateVersionTable(mark(ctx), db)
}

// Insert is a part of a store.
func (s *gooseStore) Insert(ctx context.Context, db database.DBTxConn, req database.InsertRequest) error {
	return s.Store.Insert(mark(ctx), db, req)
}

// GetMigration is a part of a store: what goose asks last, before a step's first statement. A version that
// was taken back counts as not there, as everywhere else here.
func (s *gooseStore) GetMigration(ctx context.Context, db database.DBTxConn, version int64) (*database.GetMigrationResult, error) {
	there, err := s.applied(ctx, db, version)
	if notYet := s.ready(); notYet != nil {
		return nil, notYet
	}
	if err != nil {
		return nil, err
	}
	if !there {
		return nil, fmt.Errorf("%w: %d", database.ErrVersionNotFound, version)
	}
	return &database.GetMigrationResult{IsApplied: true}, nil
}

// applied asks whether a version is applied, and makes the session as new on the way, if that was left to it.
func (s *gooseStore) applied(ctx context.Context, db database.DBTxConn, version int64) (is bool, err error) {
	session, ok := db.(*sql.Conn)
	if !ok {
		return false, fmt.Errorf("look for version %d: no session", version)
	}
	ask := fmt.Sprintf("SELECT is_applied FROM %s WHERE version_id = %d ORDER BY id DESC LIMIT 1", s.Tablename(), version)
	if left, ok := ctx.Value(renewalKey{}).(*renewal); ok {
		if before := left.take(); before != "" {
			ask = before + "; " + ask
		}
	}
	err = session.Raw(func(driver any) error {
		conn, ok := driver.(*stdlib.Conn)
		if !ok {
			return fmt.Errorf("no session of pgx: %T", driver)
		}
		results, err := conn.Conn().PgConn().Exec(ctx, ask).ReadAll()
		if err != nil {
			return err
		}
		rows := results[len(results)-1].Rows
		is = len(rows) > 0 && string(rows[0][0]) == "t"
		return nil
	})
	if err != nil {
		return false, fmt.Errorf("look for version %d: %w", version, err)
	}
	return is, nil
}

// ListMigrations is a part of a store.
func (s *gooseStore) ListMigrations(ctx context.Context, db database.DBTxConn) ([]*database.ListMigrationsResult, error) {
	return s.Store.ListMigrations(mark(ctx), db)
}
