package throttle_test

import (
	"context"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/internal/pgserver"
	"github.com/bbmd-dev/bbmd/internal/throttle"
	"github.com/bbmd-dev/bbmd/testing/pgtest"
)

// patience is how long a test waits for what has to come.
const patience = 30 * time.Second

// onServer runs a sampler on a real database until the test ends.
func onServer(t *testing.T, address string, c throttle.Config) *throttle.Sampler {
	t.Helper()
	c.Interval = throttle.Duration(20 * time.Millisecond)
	pool, err := pgxpool.New(t.Context(), withApplication(t, address, "bbmd/throttle"))
	require.NoError(t, err)
	sampler := throttle.New(throttle.Options{DB: pool, Config: c, Logger: quiet()})
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- sampler.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		require.ErrorIs(t, <-ended, context.Canceled)
		pool.Close()
	})
	return sampler
}

func withApplication(t *testing.T, address, application string) string {
	t.Helper()
	parsed, err := url.Parse(address)
	require.NoError(t, err)
	query := parsed.Query()
	query.Set("application_name", application)
	parsed.RawQuery = query.Encode()
	return parsed.String()
}

func begin(t *testing.T, s *throttle.Sampler, scope throttle.Scope) *throttle.Activity {
	t.Helper()
	a, err := s.Begin(scope)
	require.NoError(t, err)
	t.Cleanup(a.End)
	return a
}

// until waits for a verdict.
func until(t *testing.T, a *throttle.Activity, action throttle.Action, reason string) {
	t.Helper()
	reached(t, a, func(r throttle.Report) bool {
		return r.Verdict.Action == action && strings.Contains(r.Verdict.Reason, reason)
	})
}

// reached waits for a report that is as the test wants it.
func reached(t *testing.T, a *throttle.Activity, want func(throttle.Report) bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	for !want(a.Report()) {
		select {
		case <-tick.C:
		case <-deadline.C:
			require.Fail(t, "the report never was as it had to be", "last: %+v", a.Report())
		}
	}
}

// session opens a session that ends with the test.
func session(t *testing.T, address string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), address)
	require.NoError(t, err)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), patience)
		defer cancel()
		_ = conn.Close(ctx) // some were cut
	})
	return conn
}

// inBackground runs a statement that takes its time, on a session of its own,
// and returns what ends it.
func inBackground(t *testing.T, address, sql string) (end func()) {
	t.Helper()
	conn := session(t, address)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = conn.Exec(ctx, sql, pgx.QueryExecModeSimpleProtocol) // it is cancelled in the end
	}()
	end = func() { cancel(); <-done }
	t.Cleanup(end)
	return end
}

// asRole makes a role without privileges, and returns the address as it.
func asRole(t *testing.T, db *pgtest.Database) (address, role string) {
	t.Helper()
	role = "app_" + db.Name
	db.Superuser(t).Exec(t, "CREATE ROLE "+role+" LOGIN PASSWORD 'secret'")
	t.Cleanup(func() { db.Superuser(t).Exec(contextFree{t}, "DROP OWNED BY "+role+"; DROP ROLE "+role) })
	parsed, err := url.Parse(db.URL)
	require.NoError(t, err)
	parsed.User = url.UserPassword(role, "secret")
	return parsed.String(), role
}

// contextFree is a test whose context outlives it, for cleaning up.
type contextFree struct{ testing.TB }

func (c contextFree) Context() context.Context { return context.WithoutCancel(c.TB.Context()) }

func TestDefaultsLetAQuietServerWork(t *testing.T) {
	t.Parallel()
	server := pgtest.NewServer(t, pgserver.Options{})
	db := server.NewEmpty(t)
	db.Exec(t, "CREATE TABLE t (id int PRIMARY KEY)")
	c := throttle.Default()
	c.WALRate.PerSecond = 1 << 30
	c.UnreadableAfter = 0
	a := begin(t, onServer(t, db.URL, c), throttle.Scope{Migration: "m", Table: pgtest.One[uint32](t, db, "SELECT 't'::regclass::oid")})
	until(t, a, throttle.Go, "")
	var names []string
	for _, s := range a.Report().Signals {
		require.Empty(t, s.Problem, s.Signal)
		require.Equal(t, throttle.Go, s.Action, s.Signal)
		require.WithinDuration(t, time.Now(), s.Read, patience)
		names = append(names, s.Signal)
	}
	require.Equal(t, throttle.SignalNames(), names)

	require.NoError(t, server.Kill())
	until(t, a, throttle.Stop, "has not been readable for")
	require.NoError(t, server.Restart(t.Context()))
	until(t, a, throttle.Go, "")
}

func TestDefaultsWithoutPrivileges(t *testing.T) {
	t.Parallel()
	server := pgtest.NewServer(t, pgserver.Options{Settings: map[string]string{"archive_mode": "on", "archive_command": "true"}})
	db := server.NewEmpty(t)
	address, role := asRole(t, db)
	_ = session(t, db.URL) // of another role, to be hidden

	c := throttle.Default()
	c.WALRate.PerSecond = 1 << 30
	sampler := onServer(t, address, c)
	a := begin(t, sampler, throttle.Scope{Migration: "m"})
	until(t, a, throttle.Slow, "is hidden from "+role+": GRANT pg_monitor TO "+role)
	v := a.Verdict()
	require.Equal(t, "traffic", v.Signal)
	require.InDelta(t, 0.25, v.Duty, 1e-9)
	for _, s := range a.Report().Signals {
		if s.Signal != "busy" && s.Signal != "traffic" {
			require.Empty(t, s.Problem, s.Signal)
			require.Equal(t, throttle.Go, s.Action, s.Signal)
		}
	}

	c.Traffic.Mode = throttle.On
	require.NoError(t, sampler.Configure(c))
	until(t, a, throttle.Stop, "GRANT pg_monitor TO "+role)
	db.Superuser(t).Exec(t, "GRANT pg_monitor TO "+role)
	until(t, a, throttle.Go, "")
}

func TestSignalsAreReadInOneStatement(t *testing.T) {
	t.Parallel()
	db := pgtest.NewEmpty(t)
	pool := db.Pool(t)
	counting := &countingDB{DB: pool}
	sampler := throttle.New(throttle.Options{DB: counting, Config: throttle.Default(), Logger: quiet()})
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- sampler.Run(ctx) }()
	a, err := sampler.Begin(throttle.Scope{Migration: "m"})
	require.NoError(t, err)
	<-a.Changed()
	a.End()
	stop()
	require.ErrorIs(t, <-ended, context.Canceled)
	require.NotEmpty(t, counting.statements)
	first := counting.statements[0]
	require.True(t, slices.IndexFunc([]string{"pg_blocking_pids", "pg_stat_get_wal_senders", "pg_stat_archiver", "pg_stat_progress_vacuum", "pg_prepared_xacts", "'active'"},
		func(part string) bool { return !strings.Contains(first, part) }) < 0, first)
}

type countingDB struct {
	throttle.DB

	statements []string
}

func (c *countingDB) Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error) {
	c.statements = append(c.statements, sql)
	return c.DB.Query(ctx, sql, args...)
}
