package dashboard

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/bbmd-dev/bbmd/internal/control"
)

const (
	// queriesAtATime per database: what background migrations need themselves
	// has the same pool.
	queriesAtATime = 2
	// queryTimeout bounds what one request asks a database.
	queryTimeout = 10 * time.Second
	// schemaAge is how long what a schema was found to be is shown again: another
	// tool may change it without an event.
	schemaAge = 30 * time.Second
)

// errAway says that a database cannot be asked now.
var errAway = errors.New("the database cannot be reached")

// database is a [Database], asked by few at a time.
type database struct {
	Database

	turns chan struct{}

	stale    atomic.Bool // something has changed since the schema was looked at
	mu       sync.Mutex
	schema   *Schema // nil: it was not looked at yet
	schemaAt time.Time

	cardStale atomic.Bool // something has changed since the card was made
	cardMu    sync.Mutex
	card      *card // nil: it was not looked at yet
}

func newDatabase(d Database) *database {
	return &database{Database: d, turns: make(chan struct{}, queriesAtATime)}
}

// ask lets do send queries, once it is its turn. That its request has gone does not
// cut them off, which would cost the daemon a connection.
func (d *database) ask(ctx context.Context, do func(ctx context.Context, db control.TxDB) error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), queryTimeout)
	defer cancel()
	select {
	case d.turns <- struct{}{}:
		defer func() { <-d.turns }()
	case <-ctx.Done():
		return fmt.Errorf("%w in time: others are asking", errAway)
	}
	var db control.TxDB
	if d.DB != nil {
		db = d.DB()
	}
	if db == nil {
		return fmt.Errorf("%w yet", errAway)
	}
	err := do(ctx, db)
	if err == nil {
		return nil
	}
	var answer *pgconn.PgError
	if _, known := problemKnown(err); !known && !errors.As(err, &answer) {
		return fmt.Errorf("%w: %w", errAway, err)
	}
	return err
}

// act lets do change something, in one transaction that the audit attributes to who.
func (d *database) act(ctx context.Context, who caller, do func(ctx context.Context, tx pgx.Tx) error) error {
	return d.ask(ctx, func(ctx context.Context, db control.TxDB) error {
		return pgx.BeginFunc(ctx, db, func(tx pgx.Tx) error {
			if err := d.Store.As(ctx, tx, who.application()); err != nil {
				return err
			}
			return do(ctx, tx)
		})
	})
}

// checks says how the database is doing.
func (d *database) checks(ctx context.Context) []Check {
	if d.Checks == nil {
		return []Check{}
	}
	return d.Checks(ctx)
}

// look says what the schema is. For a page that is only kept up to date it asks
// nobody, as long as nothing was heard.
func (d *database) look(ctx context.Context, live bool) Schema {
	if d.Schema == nil {
		return Schema{}
	}
	d.mu.Lock()
	defer d.mu.Unlock() // whoever else wants to know waits for the same answer
	if !d.stale.Swap(false) && d.schema != nil && (live || time.Since(d.schemaAt) < schemaAge) {
		return *d.schema
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), queryTimeout)
	defer cancel()
	found := d.Schema(ctx)
	d.schema, d.schemaAt = &found, time.Now()
	return found
}

// forget makes what was found be looked at again: the progress of migrations alone, or
// the schema as well.
func (d *database) forget(schema bool) {
	d.cardStale.Store(true)
	if schema {
		d.stale.Store(true)
	}
}
