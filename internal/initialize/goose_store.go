package initialize

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/pressly/goose/v3/database"

	"github.com/bbmd-dev/bbmd/internal/history"
)

// gooseStore is goose's own version table under its full name, whatever the name is, and
// whatever a migration did to the search path.
type gooseStore struct {
	database.Store
	at history.Place
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

// GetMigration is a part of a store.
func (s *gooseStore) GetMigration(ctx context.Context, db database.DBTxConn, version int64) (*database.GetMigrationResult, error) {
	return s.Store.GetMigration(mark(ctx), db, version)
}

// ListMigrations is a part of a store.
func (s *gooseStore) ListMigrations(ctx context.Context, db database.DBTxConn) ([]*database.ListMigrationsResult, error) {
	return s.Store.ListMigrations(mark(ctx), db)
}
