package dial

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// settings are what every session asks for when it starts, unless the
// connection string says otherwise. They bound what a session can hold up, and let the server
// notice a dead client.
func settings() map[string]string {
	return map[string]string{
		"statement_timeout":                   "15000", // ms
		"lock_timeout":                        "5000",  // ms
		"idle_in_transaction_session_timeout": "30000", // ms
		"idle_session_timeout":                "0",     // PostgreSQL 14; a pool is idle by profession
		"tcp_keepalives_idle":                 "15",
		"tcp_keepalives_interval":             "5",
		"tcp_keepalives_count":                "3",
		"tcp_user_timeout":                    "30000", // ms
		"client_connection_check_interval":    "10000", // ms; PostgreSQL 14
	}
}

// SQLSTATEs with which a server, or a pooler in front of it, refuses a setting.
const (
	codeUndefinedObject       = "42704" // older than the setting
	codeInvalidParameterValue = "22023" // has it, but not on this platform
	codeProtocolViolation     = "08P01" // pgbouncer: unsupported startup parameter
)

// refusals remembers which settings a server does not take.
type refusals struct {
	mu      sync.Mutex
	unknown map[string]bool // left out
	late    bool            // set after the start of the session, all of them
	settled bool            // a session has started, so what is refused is known
}

// apply puts our settings into a configuration that came from the user.
func (r *refusals) apply(cfg *pgconn.Config, application string) {
	ours := settings()
	r.mu.Lock()
	late := r.late
	maps.DeleteFunc(ours, func(name, _ string) bool { return r.unknown[name] })
	r.mu.Unlock()
	maps.DeleteFunc(ours, func(name, _ string) bool {
		_, set := cfg.RuntimeParams[name]
		return set
	})
	cfg.RuntimeParams["application_name"] = application
	if !late {
		maps.Copy(cfg.RuntimeParams, ours)
		return
	}
	cfg.AfterConnect = func(ctx context.Context, conn *pgconn.PgConn) error { return setLate(ctx, conn, ours) }
}

// settle notes that a session has started.
func (r *refusals) settle() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.settled = true
}

// known reports whether a session has started.
func (r *refusals) known() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.settled
}

// learn notes which setting of ours err says the server does not take, and
// reports whether there is one that was not known, so that it is worth trying again.
func (r *refusals) learn(err error) bool {
	var refusal *pgconn.PgError
	if !errors.As(err, &refusal) {
		return false
	}
	names := slices.Collect(maps.Keys(settings()))
	at := slices.IndexFunc(names, func(name string) bool { return strings.Contains(refusal.Message, name) })
	if at < 0 {
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	switch refusal.Code {
	case codeProtocolViolation:
		first := !r.late
		r.late = true
		return first
	case codeUndefinedObject, codeInvalidParameterValue:
		first := !r.unknown[names[at]]
		if r.unknown == nil {
			r.unknown = map[string]bool{}
		}
		r.unknown[names[at]] = true
		return first
	default:
		return false
	}
}

// setLate sets what a pooler refused as part of the startup. It names only what
// the server knows.
func setLate(ctx context.Context, conn *pgconn.PgConn, ours map[string]string) error {
	var values []string
	for _, name := range slices.Sorted(maps.Keys(ours)) {
		values = append(values, "('"+name+"', '"+ours[name]+"')")
	}
	sql := "SELECT pg_catalog.set_config(s.name, v.value, false) FROM (VALUES " + strings.Join(values, ", ") + ") v (name, value) JOIN pg_catalog.pg_settings s ON s.name = v.name"
	if _, err := conn.Exec(ctx, sql).ReadAll(); err != nil {
		return fmt.Errorf("set up the session: %w", err)
	}
	return nil
}

// learner tells the refusals why a pool's connection came to nothing, so that
// the next one is not refused.
type learner struct{ refusals *refusals }

var _ pgx.ConnectTracer = learner{}

// TraceConnectStart is one half of [pgx.ConnectTracer].
func (learner) TraceConnectStart(ctx context.Context, _ pgx.TraceConnectStartData) context.Context {
	return ctx
}

// TraceConnectEnd is the other half.
func (l learner) TraceConnectEnd(_ context.Context, end pgx.TraceConnectEndData) {
	if end.Err != nil {
		l.refusals.learn(end.Err)
	}
}

// TraceQueryStart has nothing to learn from queries.
func (learner) TraceQueryStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryStartData) context.Context {
	return ctx
}

// TraceQueryEnd has nothing to learn from queries.
func (learner) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}
