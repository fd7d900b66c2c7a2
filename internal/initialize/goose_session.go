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
	limits = limits.orDefaults()
	set := func(ctx context.Context, conn *pgx.Conn) error {
		results, err := conn.PgConn().Exec(ctx, limitsSQL(limits)).ReadAll()
		if err != nil {
			return fmt.Errorf("set up the session: %w", err)
		}
		again := forget + "; " + timeoutsSQL(limits)
		if len(results[len(results)-1].Rows) > 0 { // it had to be set, and can be
			again += fmt.Sprintf("; SET %s = %s", checkInterval, limitSettings(limits)[checkInterval])
		}
		conn.PgConn().CustomData()[renewing] = again
		return nil
	}
	db := stdlib.OpenDB(*cfg, stdlib.OptionAfterConnect(set), stdlib.OptionResetSession(func(ctx context.Context, conn *pgx.Conn) error {
		again, _ := conn.PgConn().CustomData()[renewing].(string)
		if left, ok := ctx.Value(renewalKey{}).(*renewal); ok && left.leave(again) {
			return nil
		}
		return quietly(ctx, conn, again)
	}))
	const idle = 2 // the one that goose holds, and one for a migration in Go that runs without a transaction
	db.SetMaxIdleConns(idle)
	return db
}

// renewing is under which a session keeps the statements that make it as new.
const renewing = "bbmd.renewing"

// renewalKey is under which a context has a [renewal].
type renewalKey struct{}

// renewal lets the statements that make a step's session as new travel with the next one: the first session that is
// asked for with its context is the one that goose holds.
type renewal struct {
	may  bool
	left string
}

func (r *renewal) leave(statements string) bool {
	may := r.may
	if may {
		r.may, r.left = false, statements
	}
	return may
}

// take returns what was left, and leaves no more.
func (r *renewal) take() string {
	left := r.left
	r.may, r.left = false, ""
	return left
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

func timeoutsSQL(limits Limits) string {
	settings := limitSettings(limits)
	return fmt.Sprintf("SET lock_timeout = %s; SET statement_timeout = %s", settings["lock_timeout"], settings["statement_timeout"])
}

// limitsSQL sets the limits of a new session. Its last statement returns a row where the interval was another.
func limitsSQL(limits Limits) string {
	interval := limitSettings(limits)[checkInterval]
	return fmt.Sprintf("%s; "+
		// Where the platform lacks what it takes, it cannot be set.
		"SELECT pg_catalog.set_config(name, '%s', false) FROM pg_catalog.pg_settings WHERE name = '%s' AND setting <> '%s' AND pg_catalog.version() LIKE '%%linux%%'",
		timeoutsSQL(limits), interval, checkInterval, interval)
}

func sumOfBytes(content []byte) string {
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:])
}
