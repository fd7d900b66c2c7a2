package daemon_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/daemon"
	"github.com/bbmd-dev/bbmd/testing/pgtest"
)

// TestFiftyWaitersAreReleased has them hear of it: none would look by itself in time.
func TestFiftyWaitersAreReleased(t *testing.T) {
	t.Parallel()
	const waiters = 50
	db := pgtest.NewEmpty(t)
	cfg := configWith(db, twoSteps(t).schema())
	type end struct {
		err error
		at  time.Time
	}
	ended := make(chan end, waiters)
	for range waiters {
		go func() {
			err := daemon.Wait(t.Context(), cfg, daemon.WaitOptions{Progress: time.Hour, Timeout: 10 * time.Minute})
			ended <- end{err: err, at: time.Now()}
		}()
	}
	db.WaitFor(t, "SELECT count(*) = $1 FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'bbmd/default/wait' AND state = 'idle'", waiters)
	_, err := daemon.Migrate(t.Context(), cfg, daemon.SchemaOptions{})
	require.NoError(t, err)
	migrated := time.Now()
	var slowest time.Duration
	for range waiters {
		select {
		case e := <-ended:
			require.NoError(t, e.err)
			slowest = max(slowest, e.at.Sub(migrated))
		case <-time.After(patience):
			require.FailNow(t, "somebody still waits")
		}
	}
	t.Logf("the last of %d was released %v after the migration", waiters, slowest)
}

// TestWaitLosesItsConnection ends every session of those who wait.
func TestWaitLosesItsConnection(t *testing.T) {
	t.Parallel()
	db := pgtest.NewEmpty(t)
	cfg := configWith(db, twoSteps(t).schema())
	said, done := make(chan string, 1000), make(chan error, 1)
	go func() {
		done <- daemon.Wait(t.Context(), cfg, daemon.WaitOptions{Progress: time.Hour, Say: func(_, says string) { said <- says }})
	}()
	require.Contains(t, <-said, "no migrator seen")
	db.Superuser(t).WaitFor(t, "SELECT count(pg_terminate_backend(pid)) = 1 FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'bbmd/default/wait' AND state = 'idle'")
	require.Contains(t, <-said, "no connection")
	require.Contains(t, <-said, "no migrator seen")
	_, err := daemon.Migrate(t.Context(), cfg, daemon.SchemaOptions{})
	require.NoError(t, err)
	require.NoError(t, <-done)
}

// TestWaitForAMigrationThatWasMended has files in which it is not: those of the release that failed.
func TestWaitForAMigrationThatWasMended(t *testing.T) {
	t.Parallel()
	db := pgtest.NewEmpty(t)
	failed := configWith(db, newProject(t).migration(1, "CREATE TABLE users (id nonsense);").schema())
	_, err := daemon.Migrate(t.Context(), failed, daemon.SchemaOptions{})
	require.Error(t, err)
	mended := configWith(db, newProject(t).migration(1, "CREATE TABLE users (id bigint);").schema())
	_, err = daemon.Migrate(t.Context(), mended, daemon.SchemaOptions{})
	require.NoError(t, err)
	require.NoError(t, daemon.Wait(t.Context(), failed, daemon.WaitOptions{RetryGrace: -1}))
	err = daemon.Wait(t.Context(), failed, daemon.WaitOptions{RetryGrace: -1, Strict: true})
	refused, ok := errors.AsType[*daemon.WaitFailedError](err)
	require.True(t, ok, "%v", err)
	require.True(t, refused.Decide)
	require.Contains(t, err.Error(), "changed after it was applied")
}

func TestWaitForManyDatabases(t *testing.T) {
	t.Parallel()
	good, bad := pgtest.NewEmpty(t), pgtest.NewEmpty(t)
	cfg := configWith(good, twoSteps(t).schema())
	cfg.Databases["bad"] = daemon.Database{URL: daemon.URL(bad.URL), Schema: newProject(t).migration(1, "SELECT nonsense;").schema()}
	_, err := daemon.Migrate(t.Context(), cfg, daemon.SchemaOptions{})
	require.Error(t, err)
	err = daemon.Wait(t.Context(), cfg, daemon.WaitOptions{RetryGrace: -1})
	failed, ok := errors.AsType[*daemon.WaitFailedError](err)
	require.True(t, ok, "%v", err)
	require.Equal(t, "bad", failed.Database)
	require.Equal(t, "42703", failed.SQLState)
	require.NoError(t, daemon.Wait(t.Context(), cfg, daemon.WaitOptions{Databases: []string{"default"}}))
	skipping := cfg
	skipping.SchemaMigrations.SkipVersionCheck = true
	require.NoError(t, daemon.Wait(t.Context(), skipping, daemon.WaitOptions{}))
	require.ErrorContains(t, daemon.Wait(t.Context(), cfg, daemon.WaitOptions{For: []string{"version=1"}}), "name it")
}

// TestWaitEndpoint asks a daemon.
func TestWaitEndpoint(t *testing.T) {
	t.Parallel()
	db := pgtest.NewEmpty(t)
	p := twoSteps(t)
	schema := p.schema()
	schema.OnStart = "verify"
	d := start(t, configWith(db, schema))
	d.waitLive(t)
	ask := func(query string) (int, daemon.WaitAnswer) {
		status, body := d.get(daemon.WaitPath + query)
		var answer daemon.WaitAnswer
		require.NoError(t, json.Unmarshal([]byte(body), &answer), body)
		return status, answer
	}
	status, answer := ask("?timeout=0s")
	require.Equal(t, http.StatusAccepted, status)
	require.Contains(t, answer.Says, "2 pending: 1, 2")
	for query, want := range map[string]int{"?timeout=long": http.StatusBadRequest, "?for=x": http.StatusBadRequest, "?database=other": http.StatusNotFound} {
		status, answer = ask(query)
		require.Equal(t, want, status)
		require.NotEmpty(t, answer.Says)
	}
	reached := make(chan int, 1)
	go func() {
		for {
			status, _ := d.get(daemon.WaitPath + "?timeout=20s")
			if status != http.StatusAccepted {
				reached <- status
				return
			}
		}
	}()
	db.WaitFor(t, "SELECT count(*) = 1 FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'bbmd/default/wait'")
	_, err := daemon.Migrate(t.Context(), configWith(db, p.schema()), daemon.SchemaOptions{})
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, <-reached)
	db.WaitFor(t, "SELECT count(*) = 0 FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'bbmd/default/wait'")
}

// TestWaitersOverHTTPShareASession has many of them wait.
func TestWaitersOverHTTPShareASession(t *testing.T) {
	t.Parallel()
	const waiters = 30
	db := pgtest.NewEmpty(t)
	p := twoSteps(t)
	schema := p.schema()
	schema.OnStart = "verify"
	d := start(t, configWith(db, schema))
	d.waitAnswer("/readyz", http.StatusServiceUnavailable, "2 pending") // it listens by then, or will look again
	ended := make(chan int, waiters)
	for range waiters {
		go func() {
			status := http.StatusAccepted
			for status == http.StatusAccepted {
				status, _ = d.get(daemon.WaitPath + "?timeout=20s")
			}
			ended <- status
		}()
	}
	const sessions = " FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'bbmd/default/wait'"
	db.WaitFor(t, "SELECT count(*) > 0"+sessions)
	_, err := daemon.Migrate(t.Context(), configWith(db, p.schema()), daemon.SchemaOptions{})
	require.NoError(t, err)
	require.LessOrEqual(t, pgtest.One[int](t, db, "SELECT count(*)"+sessions), 1)
	for range waiters {
		require.Equal(t, http.StatusOK, <-ended)
	}
}

func TestWaitEndpointEndsWithTheDaemon(t *testing.T) {
	t.Parallel()
	db := pgtest.NewEmpty(t)
	schema := twoSteps(t).schema()
	schema.OnStart = "verify"
	d := start(t, configWith(db, schema))
	d.waitLive(t)
	ended := make(chan int, 1)
	go func() {
		status, _ := d.get(daemon.WaitPath + "?timeout=25s")
		ended <- status
	}()
	db.WaitFor(t, "SELECT count(*) = 1 FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'bbmd/default/wait' AND state = 'idle'")
	d.stop()
	require.Equal(t, http.StatusServiceUnavailable, <-ended)
}

// waitLive waits until the daemon answers.
func (i *instance) waitLive(t *testing.T) {
	t.Helper()
	i.waitAnswer("/livez", http.StatusOK, "alive")
}
