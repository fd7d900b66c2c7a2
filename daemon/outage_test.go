package daemon_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/internal/pgserver"
	"github.com/bbmd-dev/bbmd/testing/pgtest"
)

func TestTheDatabaseIsDownAtTheStart(t *testing.T) {
	t.Parallel()
	server := pgtest.NewServer(t, pgserver.Options{})
	db := server.NewEmpty(t)
	require.NoError(t, server.Stop(t.Context()))

	d := start(t, configOf(map[string]string{"default": db.URL}))
	d.waitAnswer("/readyz?verbose", http.StatusServiceUnavailable, `\[-\] database/default: .*connect`)
	d.requireAlive()

	require.NoError(t, server.Restart(t.Context()))
	d.waitReady()
	rows(t, db, "t", 1000)
	enqueue(t, db, "bump", "t", 100)
	waitFinished(t, db, "t")
}

func TestTheServerDiesInTheMiddle(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(*testing.T, *pgtest.Server){
		"killed":  func(t *testing.T, s *pgtest.Server) { t.Helper(); require.NoError(t, s.Kill()) },
		"stopped": func(t *testing.T, s *pgtest.Server) { t.Helper(); require.NoError(t, s.Stop(t.Context())) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := pgtest.NewServer(t, pgserver.Options{})
			db := server.New(t)
			rows(t, db, "t", 50_000)
			d := start(t, configFor(t, db))
			d.waitReady()
			enqueue(t, db, "bump", "t", 10)
			db.WaitFor(t, "SELECT count(*) > 50 FROM bbm.batched_background_migration_jobs WHERE status = 'finished'")

			end(t, server)
			d.waitAnswer("/readyz?verbose", http.StatusServiceUnavailable, `\[-\] listener/default: `)
			d.requireAlive()

			require.NoError(t, server.Restart(t.Context()))
			d.waitReady()
			waitFinished(t, db, "t")
		})
	}
}

// TestSessionsAreTerminated ends each of the daemon's sessions while a migration runs.
func TestSessionsAreTerminated(t *testing.T) {
	t.Parallel()
	for name, whose := range map[string]string{
		"listener":     "application_name = 'bbmd/listener'",
		"control pool": "application_name = 'bbmd/default'",
		"workers":      "application_name = 'bbmd/default/t'",
		"all":          "application_name LIKE 'bbmd/%'",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := pgtest.New(t)
			rows(t, db, "t", 20_000)
			d := start(t, configFor(t, db))
			d.waitReady()
			enqueue(t, db, "bump", "t", 10)
			for range 3 {
				db.WaitFor(t, "SELECT count(*) > 0 FROM pg_stat_activity WHERE datname = current_database() AND "+whose)
				db.Superuser(t).Exec(t, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND "+whose)
				d.requireAlive()
			}
			waitFinished(t, db, "t")
			d.waitReady()
		})
	}
}

// TestAnIdlePoolIsTerminated shows that an event finds a new session when the
// old one has ended in the meantime, without a failed scan.
func TestAnIdlePoolIsTerminated(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	rows(t, db, "t", 10)
	d := start(t, configFor(t, db))
	d.waitReady()
	d.settled()
	db.EndSessions(t, "bbmd/default")
	enqueue(t, db, "bump", "t", 10)
	waitFinished(t, db, "t")
	require.NotContains(t, d.log.String(), "level=WARN")
}

func TestOneDatabaseDownDoesNotDisturbTheOther(t *testing.T) {
	t.Parallel()
	up := pgtest.New(t)
	server := pgtest.NewServer(t, pgserver.Options{})
	down := server.New(t)
	rows(t, up, "t", 1000)
	rows(t, down, "t", 1000)
	require.NoError(t, server.Stop(t.Context()))

	d := start(t, configOf(map[string]string{"up": up.URL, "down": down.URL}))
	d.waitAnswer("/readyz?verbose", http.StatusServiceUnavailable, `(?s)\[-\] database/down: .*\[\+\] database/up ok.*\[\+\] listener/up ok`)
	enqueue(t, up, "bump", "t", 100)
	waitFinished(t, up, "t")

	require.NoError(t, server.Restart(t.Context()))
	d.waitReady()
	enqueue(t, down, "bump", "t", 100)
	waitFinished(t, down, "t")
}
