package initialize

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
)

// trace follows the statements of a step: goose tells neither which one failed
// nor where in the file it stands. It also lifts the lock timeout for those that wait for other
// transactions without keeping anybody out: it would end a CREATE INDEX CONCURRENTLY
// beside any longer transaction, and leave an invalid index behind.
type trace struct {
	lockTimeout time.Duration

	mu      sync.Mutex // a migration in Go may use several sessions
	text    string     // of the step's file
	looked  int        // how far in text its statements were found
	line    int        // of the failed statement, from 1; 0: unknown
	failed  string     // the statement
	settled int        // statements that were done outside a transaction
	lasting bool       // the failed one may leave something behind
}

var _ pgx.QueryTracer = (*trace)(nil)

// traced is what a statement's context carries.
type traced struct {
	sql     string
	line    int
	outside bool // of a transaction
	lifted  bool // it runs without a lock timeout
}

type tracedKey struct{}

// begin forgets the step before.
func (t *trace) begin(text string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text, t.looked, t.line, t.failed, t.settled, t.lasting = text, 0, 0, "", 0, false
}

// undone reports whether nothing is left of what the step did.
func (t *trace) undone() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.settled == 0 && !t.lasting
}

// failure returns the statement that failed, empty if none did, and its line in the file.
func (t *trace) failure() (sql string, line int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.failed, t.line
}

// TraceQueryStart is one half of [pgx.QueryTracer].
func (t *trace) TraceQueryStart(ctx context.Context, conn *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	if isBookkeeping(ctx) || controlsTransaction(data.SQL) {
		return ctx
	}
	one := &traced{sql: data.SQL, outside: conn.PgConn().TxStatus() == 'I'}
	one.line = t.find(data.SQL)
	if one.outside && concurrent(wordsOf(data.SQL)) {
		one.lifted = quietly(ctx, conn, "SET lock_timeout = 0") == nil // else the statement will say what is wrong
	}
	return context.WithValue(ctx, tracedKey{}, one)
}

// TraceQueryEnd is the other half.
func (t *trace) TraceQueryEnd(ctx context.Context, conn *pgx.Conn, data pgx.TraceQueryEndData) {
	one, ok := ctx.Value(tracedKey{}).(*traced)
	if !ok {
		return
	}
	if one.lifted {
		_ = quietly(context.WithoutCancel(ctx), conn, fmt.Sprintf("SET lock_timeout = %d", t.lockTimeout.Milliseconds())) // the next step sets it again
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case data.Err == nil && one.outside:
		t.settled++
	case data.Err != nil:
		t.failed, t.line, t.lasting = one.sql, one.line, one.lifted
		if one.line > 0 {
			t.line += lineIn(one.sql, data.Err)
		}
	}
}

// find returns the line of a statement of the file's. They come in the file's order.
func (t *trace) find(sql string) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	at := strings.Index(t.text[t.looked:], sql)
	if at < 0 {
		return 0
	}
	at += t.looked
	t.looked = at + len(sql)
	return 1 + strings.Count(t.text[:at], "\n")
}

// controlsTransaction reports whether a statement is the driver's own, around those of a step.
func controlsTransaction(sql string) bool {
	return sql == "begin" || sql == "commit" || sql == "rollback"
}
