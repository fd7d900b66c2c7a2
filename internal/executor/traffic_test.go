package executor_test

import (
	"net/url"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/internal/executor"
	"github.com/bbmd-dev/bbmd/internal/pgserver"
	"github.com/bbmd-dev/bbmd/internal/throttle"
	"github.com/bbmd-dev/bbmd/testing/pgtest"
)

// duties is an Observer that passes on what the throttle lets a migration do.
type duties struct {
	executor.NoObserver

	told chan duty
}

type duty struct {
	signal string
	share  float64
}

func (d duties) Throttled(_, signal string, share float64) {
	select {
	case d.told <- duty{signal, share}:
	default: // nobody waits for it any more
	}
}

// wait waits until the throttle says so.
func (d duties) wait(t *testing.T, signal string, share float64) {
	t.Helper()
	patience := time.After(time.Minute)
	last := duty{}
	for last.signal != signal || last.share > share+0.001 || last.share < share-0.001 {
		select {
		case last = <-d.told:
		case <-patience:
			require.Fail(t, "the duty never was as it had to be", "wanted %s %g, last: %+v", signal, share, last)
		}
	}
}

// A migration has the server for itself, gives way when others come, and has it again when they
// are gone: nobody tells it.
func TestMigrationGivesWayToTraffic(t *testing.T) {
	t.Parallel()
	server := pgtest.NewServer(t, pgserver.Options{}) // where nobody else is
	db := server.New(t)
	table(t, db, 100_000)
	all, err := pgx.Connect(t.Context(), server.URL("postgres"))
	require.NoError(t, err)
	_, err = all.Exec(t.Context(), `DO $$ DECLARE r text; BEGIN
		FOR r IN SELECT rolname FROM pg_roles WHERE rolcanlogin AND NOT rolsuper LOOP EXECUTE format('GRANT pg_monitor TO %I', r); END LOOP; END $$`)
	require.NoError(t, err)
	require.NoError(t, all.Close(t.Context()))
	address, err := url.Parse(db.URL)
	require.NoError(t, err)
	query := address.Query()
	query.Set("application_name", "bbmd/test")
	address.RawQuery = query.Encode()
	ours := *db
	ours.URL = address.String()

	seen := duties{told: make(chan duty, 1000)}
	start(t, &ours, with(throttledBy(func(c *throttle.Config) { c.Traffic = throttle.Default().Traffic }), func(o *executor.Options) { o.Observer = seen }))
	enqueue(t, &ours, "bump", "batch_size => 10, pause => '10 ms'") // longer than the test, at full speed
	seen.wait(t, "", 1)

	var ends []func()
	for range 6 {
		ends = append(ends, chatter(t, db))
	}
	seen.wait(t, "traffic", 0.02)
	ours.WaitFor(t, "SELECT throttled LIKE 'slow (2 \\%): others run statements (% sessions): work 2 \\% of the time' FROM bbm.progress")
	before := pgtest.One[int](t, &ours, "SELECT keys_done FROM bbm.progress")
	ours.WaitFor(t, "SELECT keys_done > $1 FROM bbm.progress", before)

	for _, end := range ends {
		end()
	}
	seen.wait(t, "", 1)
	ours.WaitFor(t, "SELECT throttled IS NULL OR throttled = '' FROM bbm.progress")
	require.Equal(t, "running", pgtest.One[string](t, &ours, "SELECT status FROM "+migrationsTable))
}

// chatter is a session that runs one short statement after the other until it is told to stop, or
// the test ends.
func chatter(t *testing.T, db *pgtest.Database) (stop func()) {
	t.Helper()
	conn := db.Conn(t)
	quit, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-quit:
				return
			case <-tick.C:
			}
			if _, err := conn.Exec(t.Context(), "SELECT 1", pgx.QueryExecModeSimpleProtocol); err != nil {
				return
			}
		}
	}()
	ended := false
	stop = func() {
		if !ended {
			ended = true
			close(quit)
			<-done
		}
	}
	t.Cleanup(stop)
	return stop
}
