package await_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/internal/await"
	"github.com/bbmd-dev/bbmd/internal/control"
	"github.com/bbmd-dev/bbmd/internal/initialize"
	"github.com/bbmd-dev/bbmd/testing/pgtest"
)

const patience = time.Minute

// scene is a database with a history of revisions of Alembic's.
type scene struct {
	*pgtest.Database

	t    *testing.T
	spec initialize.Spec
	said chan string
}

func newScene(t *testing.T) *scene {
	t.Helper()
	s := &scene{Database: pgtest.New(t), t: t, said: make(chan string, 1000)}
	dir := t.TempDir()
	s.spec = initialize.Spec{Database: "shop", Migrations: dir, History: "alembic", Command: []string{"alembic"}}
	s.revision("a1", "None")
	s.Exec(t, "CREATE TABLE alembic_version (version_num varchar(32) PRIMARY KEY)")
	return s
}

func (s *scene) revision(id, down string) {
	s.t.Helper()
	versions := filepath.Join(s.spec.Migrations, "versions")
	require.NoError(s.t, os.MkdirAll(versions, 0o700))
	require.NoError(s.t, os.WriteFile(filepath.Join(s.spec.Migrations, "env.py"), nil, 0o600))
	require.NoError(s.t, os.WriteFile(filepath.Join(versions, id+".py"), []byte("revision = '"+id+"'\ndown_revision = "+down+"\n"), 0o600))
}

// wait runs a waiter until the test ends, and returns its end.
func (s *scene) wait(w *await.Waiter) <-chan error {
	s.t.Helper()
	w.Connect = func(ctx context.Context) (*pgx.Conn, error) { return pgx.Connect(ctx, s.URL) }
	w.Target.Spec = s.spec
	if w.Target.Goals == nil {
		w.Target.Goals = []await.Goal{{Kind: await.Schema}}
	}
	w.Say = func(says string) { s.said <- says }
	ctx, cancel := context.WithCancel(context.WithoutCancel(s.t.Context()))
	ended, done := make(chan error, 1), make(chan struct{})
	go func() {
		defer close(done)
		ended <- w.Run(ctx)
	}()
	s.t.Cleanup(func() {
		cancel()
		<-done
	})
	return ended
}

func receive[T any](t *testing.T, from <-chan T) T {
	t.Helper()
	select {
	case v := <-from:
		return v
	case <-time.After(patience):
		require.FailNow(t, "nothing comes")
	}
	panic("not reached")
}

// TestAnEventLessTool has a tool migrate that raises no event.
func TestAnEventLessTool(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	ended := s.wait(&await.Waiter{Progress: 50 * time.Millisecond})
	require.Contains(t, receive(t, s.said), "the schema is at no version")
	s.Exec(t, "INSERT INTO alembic_version VALUES ('a1')")
	require.NoError(t, receive(t, ended))
}

// TestNewerByRecord has an older release of Alembic's files start beside a newer database.
func TestNewerByRecord(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.Exec(t, "INSERT INTO alembic_version VALUES ('b2'); CREATE TABLE t ()")
	refused := receive(t, s.wait(&await.Waiter{RetryGrace: -1}))
	failed := &await.FailedError{}
	require.ErrorAs(t, refused, &failed)
	require.True(t, failed.Decide)
	require.Contains(t, failed.What, "UNKNOWN_REVISION")

	record := "INSERT INTO bbm.applied (tool, version, file, checksum) VALUES ('alembic', $1, 'x.py', 'x')"
	s.Exec(t, record, "b2")
	require.ErrorAs(t, receive(t, s.wait(&await.Waiter{RetryGrace: -1})), &failed, "one of ours is not recorded")
	s.Exec(t, record, "a1")
	require.NoError(t, receive(t, s.wait(&await.Waiter{RetryGrace: -1})))
	require.ErrorAs(t, receive(t, s.wait(&await.Waiter{RetryGrace: -1, Target: await.Target{Strict: true}})), &failed)
}

// TestVersionsOfAGraph waits for an older revision than the database's.
func TestVersionsOfAGraph(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.revision("b2", "'a1'")
	s.revision("c3", "'b2'")
	s.Exec(t, "INSERT INTO alembic_version VALUES ('b2')")
	for _, version := range []string{"a1", "b2"} {
		require.NoError(t, receive(t, s.wait(&await.Waiter{Target: await.Target{Goals: []await.Goal{{Kind: await.Version, Name: version}}}})))
	}
	ended := s.wait(&await.Waiter{Progress: time.Hour, Target: await.Target{Goals: []await.Goal{{Kind: await.Version, Name: "c3"}}}})
	require.Contains(t, receive(t, s.said), "version c3 is not there: the schema is at b2")
	s.Exec(t, "UPDATE alembic_version SET version_num = 'c3'; NOTIFY bbm_status")
	require.NoError(t, receive(t, ended))
}

// TestWhyNothingMoves has every reason that the control schema knows.
func TestWhyNothingMoves(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	run := func(outcome string) {
		s.Exec(t, `INSERT INTO bbm.runs (action, outcome, state_before, plan, host, backend_pid, finished_at, error_message, error_sqlstate)
			VALUES ('migrate', $1, 'EMPTY', '{}', 'web-1', 1, CASE WHEN $1 <> 'running' THEN now() END, CASE WHEN $1 = 'failed' THEN 'no such type' END, '42704')`, outcome)
	}
	s.wait(&await.Waiter{Progress: time.Hour, RetryGrace: time.Hour})
	require.Contains(t, receive(t, s.said), "no migrator seen: nobody holds the schema's lock, and there was no run yet")
	run(control.OutcomeRunning)
	require.Contains(t, receive(t, s.said), "run 1 on web-1 has died")
	run(control.OutcomeInterrupted)
	require.Contains(t, receive(t, s.said), "run 2 on web-1 was interrupted")
	run(control.OutcomeFailed)
	require.Contains(t, receive(t, s.said), "run 3 failed: no such type")
	run(control.OutcomeFinished)
	require.Contains(t, receive(t, s.said), "the last run, 4, ended at")
	holder := s.Conn(t)
	_, err := holder.Exec(t.Context(), "SELECT pg_advisory_lock(7704, 0); NOTIFY bbm_status")
	require.NoError(t, err)
	require.Contains(t, receive(t, s.said), "the lock is held by pid ")
}

// TestFailuresAreForgivenWhileSomebodyIsAtWork has a failed run repeated for longer than the grace.
func TestFailuresAreForgivenWhileSomebodyIsAtWork(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.Exec(t, `INSERT INTO bbm.runs (action, outcome, state_before, plan, host, backend_pid, finished_at, error_message)
		VALUES ('migrate', 'failed', 'EMPTY', '{}', 'web-1', 1, now(), 'no such type')`)
	holder := s.Conn(t)
	_, err := holder.Exec(t.Context(), "SELECT pg_advisory_lock(7704, 0)")
	require.NoError(t, err)
	ended := s.wait(&await.Waiter{Progress: time.Hour, RetryGrace: -1})
	require.Contains(t, receive(t, s.said), "the lock is held by")
	_, err = holder.Exec(t.Context(), "SELECT pg_advisory_unlock(7704, 0); NOTIFY bbm_status")
	require.NoError(t, err)
	failed := &await.FailedError{}
	require.ErrorAs(t, receive(t, ended), &failed)
	require.False(t, failed.Decide)
}

// TestAServerThatDoesNotAnswer is a host behind which packets vanish, and one that has no time to be looked at.
func TestAServerThatDoesNotAnswer(t *testing.T) {
	t.Parallel()
	late := errors.New("time is up")
	ctx, cancel := context.WithTimeoutCause(t.Context(), 10*time.Millisecond, late)
	defer cancel()
	w := &await.Waiter{
		Target:  await.Target{Spec: initialize.Spec{Database: "shop"}, Goals: []await.Goal{{Kind: await.Version, Name: "3"}}},
		Connect: func(ctx context.Context) (*pgx.Conn, error) { <-ctx.Done(); return nil, ctx.Err() },
	}
	timeout, ok := errors.AsType[*await.TimeoutError](w.Ended(w.Run(ctx), late, time.Second))
	require.True(t, ok)
	require.True(t, timeout.Lost)
	require.EqualError(t, timeout, "database shop: still waiting after 1s for version=3: no connection: the server has not answered")

	never := (&await.Waiter{Target: w.Target}).Ended(late, late, time.Second)
	require.EqualError(t, never, "database shop: still waiting after 1s for version=3: there was no time to look")
}
