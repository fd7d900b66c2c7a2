package initialize

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgconn/ctxwatch"
	"github.com/jackc/pgx/v5/stdlib"
)

// cancelPatience is how long the server may take to stop a statement that is cancelled, before
// its connection is cut.
const cancelPatience = 5 * time.Second

// openSQL opens sessions for goose as cfg says. Every step finds its session as a new one, with
// our limits, whatever the step before it set.
func openSQL(cfg *pgx.ConnConfig, limits Limits, tracer pgx.QueryTracer) *sql.DB {
	cfg.Tracer = tracer
	cfg.BuildContextWatcherHandler = func(conn *pgconn.PgConn) ctxwatch.Handler {
		return &pgconn.CancelRequestContextWatcherHandler{Conn: conn, DeadlineDelay: cancelPatience}
	}
	limit := limitsSQL(limits.orDefaults())
	set := func(ctx context.Context, conn *pgx.Conn) error { return quietly(ctx, conn, limit) }
	db := stdlib.OpenDB(*cfg, stdlib.OptionAfterConnect(set), stdlib.OptionResetSession(func(ctx context.Context, conn *pgx.Conn) error {
		return quietly(ctx, conn, forget+"; "+limit)
	}))
	const idle = 2 // the one that goose holds, and one for a migration in Go that runs without a transaction
	db.SetMaxIdleConns(idle)
	return db
}

// quietly runs statements past the tracer.
func quietly(ctx context.Context, conn *pgx.Conn, sql string) error {
	_, err := conn.PgConn().Exec(ctx, sql).ReadAll()
	if err != nil {
		return fmt.Errorf("set up the session: %w", err)
	}
	return nil
}

// limitSettings are what bounds a session that changes the schema. The last lets the
// server notice that its client is gone while a statement runs; PostgreSQL 13 does not have it.
func limitSettings(limits Limits) map[string]string {
	return map[string]string{
		"lock_timeout":      strconv.FormatInt(limits.LockTimeout.Milliseconds(), 10),
		"statement_timeout": strconv.FormatInt(limits.StatementTimeout.Milliseconds(), 10),
		checkInterval:       "1000",
	}
}

const checkInterval = "client_connection_check_interval"

// limitsSQL sets the limits. It can be run in any session, more than once.
func limitsSQL(limits Limits) string {
	settings := limitSettings(limits)
	return fmt.Sprintf("SET lock_timeout = %s; SET statement_timeout = %s; "+
		// Where the platform lacks what it takes, it cannot be set.
		"SELECT pg_catalog.set_config(name, '%s', false) FROM pg_catalog.pg_settings WHERE name = '%s' AND setting <> '%s' AND pg_catalog.version() LIKE '%%linux%%'",
		settings["lock_timeout"], settings["statement_timeout"], settings[checkInterval], checkInterval, settings[checkInterval])
}

func sumOfBytes(content []byte) string {
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:])
}
