package catalog

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"
)

// ErrNoCreateDB is wrapped by the error of [Shadow] when the role may not
// create databases: grant it CREATEDB, or do without a shadow.
var ErrNoCreateDB = errors.New("role may not create databases")

// Connect opens a direct connection, not one through a transaction pooler, to
// a database of the server by its name, not quoted, or to the database that a
// [Shadow] is for when the name is empty. Who calls it closes the connection.
type Connect func(ctx context.Context, database string) (*pgx.Conn, error)

// ShadowOptions say what the shadow is like. The zero value is an empty database.
type ShadowOptions struct {
	// Template is the database to copy, by default template0 with the
	// encoding and the locale of the database that the shadow is for.
	Template string
	// Extensions makes the extensions of the database in the shadow first, as
	// far as the role can: for declarations that use extensions and do not
	// create them. Those that could not be made are named in the error, should
	// the function fail.
	Extensions bool
}

// Shadow creates a throw-away database on the server, with the settings
// (ALTER DATABASE … SET) of the database that it is for, runs a function with a
// connection to it, and drops it, whatever happens, within a minute after the
// function has returned. The connection's Config has the shadow's name; the function may open more,
// and leave them open. Shadows that crashed processes left behind are dropped first.
//
// It returns the error of the function joined with that of dropping the database.
func Shadow(ctx context.Context, connect Connect, options ShadowOptions, run func(ctx context.Context, shadow *pgx.Conn) error) error {
	return errors.ErrUnsupported
}
