package daemon_test

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/daemon"
	"github.com/bbmd-dev/bbmd/registry"
	"github.com/bbmd-dev/bbmd/testing/pgtest"
)

// album keeps what a view was shown.
type album struct {
	mu   sync.Mutex
	seen []daemon.Progress
}

var _ daemon.View = (*album)(nil)

func (a *album) Show(_ time.Time, all []daemon.Progress) (time.Duration, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.seen = append(a.seen, all...)
	return 0, nil
}

func (a *album) Write(text []byte) (int, error) { return len(text), nil }
func (a *album) Close()                         {}

// waitFor waits until something was shown.
func (a *album) waitFor(t *testing.T, what func(daemon.Progress) bool) {
	t.Helper()
	require.Eventually(t, func() bool {
		a.mu.Lock()
		defer a.mu.Unlock()
		return slices.ContainsFunc(a.seen, what)
	}, patience, 5*time.Millisecond)
}

func reason(text string) func(daemon.Progress) bool {
	return func(p daemon.Progress) bool { return p.Reason != nil && *p.Reason == text }
}

// finalizing is a call of Finalize in another goroutine.
type finalizing struct {
	view   *album
	cancel context.CancelCauseFunc
	done   chan struct{}
	last   daemon.Progress
	err    error
}

func finalize(t *testing.T, cfg daemon.Config, name string, all ...registry.Work) *finalizing {
	t.Helper()
	works := registry.New()
	require.NoError(t, works.Register(append(all, bump())...))
	ctx, cancel := context.WithCancelCause(t.Context())
	f := &finalizing{view: &album{}, cancel: cancel, done: make(chan struct{})}
	go func() {
		defer close(f.done)
		f.last, f.err = daemon.Finalize(ctx, cfg, "default", name, daemon.FinalizeOptions{View: f.view, Works: works})
	}()
	t.Cleanup(func() {
		cancel(errStopped)
		<-f.done
	})
	return f
}

func (f *finalizing) wait(t *testing.T) (daemon.Progress, error) {
	t.Helper()
	select {
	case <-f.done:
	case <-time.After(patience):
		require.FailNow(t, "it does not end")
	}
	return f.last, f.err
}

func TestFinalizeRunsTheRestWithoutThrottle(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	rows(t, db, "t", 1000)
	rows(t, db, "other", 10)
	db.Exec(t, `SELECT bbm.enqueue('bump', 't', name => 't', batch_size => 10, target_duration => '0', throttle => '{"duty": 0}')`)
	enqueue(t, db, "bump", "other", 10)
	cfg := configFor(t, db)
	cfg.BackgroundMigrations.Enabled = false

	for range 2 { // the second time there is nothing left
		f := finalize(t, cfg, "t")
		p, err := f.wait(t)
		require.NoError(t, err)
		require.Equal(t, "finished", p.Status)
		require.Equal(t, []int64{100, 1000}, []int64{p.Batches, p.Rows})
		require.Equal(t, "finished", f.view.seen[len(f.view.seen)-1].Status)
		waitFinished(t, db, "t")
	}
	require.Equal(t, "active", pgtest.One[string](t, db, "SELECT status FROM bbm.progress WHERE name = 'other'"))
	require.Zero(t, pgtest.One[int](t, db, "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE 'bbmd/%'"))
}

func TestFinalizeSharesTheParallelism(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	rows(t, db, "t", 100)
	theirs, ours := newGate(), newGate()
	cfg := configFor(t, db)
	cfg.BackgroundMigrations.TakeoverInterval, cfg.BackgroundMigrations.Workers = 100*time.Millisecond, 1
	start(t, cfg, works(t, theirs.work()))
	enqueue(t, db, "gate", "t", 10)
	theirs.waitBegun(t)

	f := finalize(t, cfg, "t", ours.work())
	f.view.waitFor(t, reason("lock in use: as many workers of other replicas are at it as its parallelism, 1, allows; a higher one lets this replica help"))
	db.Exec(t, "UPDATE bbm.batched_background_migrations SET parallelism = 2")
	ours.waitBegun(t)
	close(ours.open)
	close(theirs.open)
	_, err := f.wait(t)
	require.NoError(t, err)
	waitFinished(t, db, "t")
}

func TestFinalizeRefuses(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	rows(t, db, "t", 1)
	db.Exec(t, `SELECT bbm.enqueue('bump', 't', name => n, paused => n = 'paused') FROM unnest('{paused,cancelled,failed,other}'::text[]) n;
		SELECT bbm.cancel('cancelled', 'a mistake');
		UPDATE bbm.batched_background_migrations SET status = 'failed', error_message = 'no luck', error_sqlstate = '22012' WHERE name = 'failed';
		SELECT bbm.enqueue('bumb', 't', name => 'unknown');
		UPDATE bbm.batched_background_migrations SET work_version = 7, status = 'running', table_oid = 't'::regclass WHERE name = 'other'`)
	cfg := configOf(map[string]string{"default": db.URL})
	for name, want := range map[string]struct {
		is   error
		text string
	}{
		"paused":    {daemon.ErrNotRunnable, "`bbmd resume paused` lets it go on"},
		"cancelled": {daemon.ErrNotRunnable, `migration "cancelled" is cancelled (a mistake): enqueue another one`},
		"failed":    {daemon.ErrMigrationFailed, `migration failed: "failed": no luck (SQLSTATE 22012): mend the cause, then ` + "`bbmd retry failed`"},
		"unknown":   {daemon.ErrNotRunnable, `unknown work "bumb", did you mean "bump"?`},
		"other":     {daemon.ErrNotRunnable, `has begun with version 7 of the work "bump", and this bbmd has version 1`},
		"nobody":    {daemon.ErrNoMigration, `there is no migration named "nobody"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := finalize(t, cfg, name).wait(t)
			require.ErrorIs(t, err, want.is)
			require.ErrorContains(t, err, want.text)
		})
	}
	_, err := daemon.Finalize(t.Context(), cfg, "nowhere", "x", daemon.FinalizeOptions{})
	require.ErrorContains(t, err, `no database "nowhere" in the configuration: it has default`)
	_, err = daemon.Finalize(t.Context(), configFor(t, pgtest.NewEmpty(t)), "default", "x", daemon.FinalizeOptions{})
	require.ErrorContains(t, err, "control schema is absent or outdated")
}

func TestFinalizeTellsThatItFailed(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	rows(t, db, "t", 100)
	db.Exec(t, "ALTER TABLE t ADD CHECK (id <> 50 OR n = 0)")
	db.Exec(t, "SELECT bbm.enqueue('bump', 't', name => 't', max_attempts => 1)")
	p, err := finalize(t, configFor(t, db), "t").wait(t)
	require.ErrorIs(t, err, daemon.ErrMigrationFailed)
	require.ErrorContains(t, err, "the row with key 50 fails")
	require.Equal(t, "failed", p.Status)
}

func TestFinalizeOfAMigrationThatIsPausedMeanwhile(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	rows(t, db, "t", 9000) // more than can be done before the worker hears that it is to stop
	enqueue(t, db, "gate", "t", 10)
	g := newGate()
	f := finalize(t, configFor(t, db), "t", g.work())
	g.waitBegun(t)
	db.Exec(t, "SELECT bbm.pause('t', 'lunch')")
	f.view.waitFor(t, reason("lunch"))
	close(g.open)
	_, err := f.wait(t)
	require.ErrorIs(t, err, daemon.ErrNotRunnable)
	require.ErrorContains(t, err, `migration "t" is paused (lunch)`)
	require.Zero(t, pgtest.One[int](t, db, "SELECT count(*) FROM bbm.batched_background_migration_jobs WHERE status = 'running'"))

	db.Exec(t, "SELECT bbm.resume('t')")
	_, err = finalize(t, configFor(t, db), "t", g.work()).wait(t)
	require.NoError(t, err)
	waitFinished(t, db, "t")
}

func TestFinalizeThatIsInterruptedLosesNothing(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	rows(t, db, "t", 9000) // more than can be done before the worker hears that it is to stop
	enqueue(t, db, "gate", "t", 10)
	g := newGate()
	f := finalize(t, configFor(t, db), "t", g.work())
	g.waitBegun(t)
	f.cancel(errStopped)
	close(g.open)
	_, err := f.wait(t)
	require.ErrorIs(t, err, errStopped)
	require.Equal(t, []string{"finished", "pending"}, pgtest.Column[string](t, db, "SELECT DISTINCT status FROM bbm.batched_background_migration_jobs ORDER BY 1"))
	_, err = finalize(t, configFor(t, db), "t", g.work()).wait(t)
	require.NoError(t, err)
	waitFinished(t, db, "t")
}

func TestFinalizeWaitsForWhatComesBefore(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	rows(t, db, "t", 100)
	rows(t, db, "u", 100)
	db.Exec(t, "SELECT bbm.enqueue('bump', 't', name => 't'), bbm.enqueue('bump', 'u', name => 'u', depends_on => '{t}')")
	f := finalize(t, configFor(t, db), "u")
	f.view.waitFor(t, reason("waits for t (active) to finish"))
	_, err := finalize(t, configFor(t, db), "t").wait(t)
	require.NoError(t, err)
	_, err = f.wait(t)
	require.NoError(t, err)
	waitFinished(t, db, "u")
}
