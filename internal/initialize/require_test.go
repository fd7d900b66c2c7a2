package initialize_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/internal/control"
	"github.com/bbmd-dev/bbmd/internal/history"
	"github.com/bbmd-dev/bbmd/internal/initialize"
	"github.com/bbmd-dev/bbmd/testing/pgtest"
)

// requiring writes a history whose second step enqueues a background migration, and whose third requires it.
func requiring(t *testing.T) *bringing {
	t.Helper()
	b := bring(t)
	b.write(t, map[string]string{
		"00001_users.sql":   up("CREATE TABLE users (id int PRIMARY KEY, email text, email_norm text);"),
		"00002_enqueue.sql": up("SELECT bbm.enqueue('normalize', 'users', name => 'normalize_users');"),
		"00003_check.sql":   "-- bbmd:require finished normalize_users\n" + up("ALTER TABLE users ALTER email_norm SET NOT NULL;"),
	})
	return b
}

func (b *bringing) set(t *testing.T, status string) {
	t.Helper()
	b.Exec(t, "UPDATE bbm.batched_background_migrations SET status = $1 WHERE name = 'normalize_users'", status)
}

func TestRequireWaitsUntilAMigrationHasFinished(t *testing.T) {
	t.Parallel()
	b := requiring(t)
	ended := background(t, t.Context(), b.prepare(t))
	b.says(t, "00003_check.sql waits: normalize_users is active, 0 % done: no daemon is connected to this database: start bbmd run")
	require.Equal(t, []int64{1, 2}, b.versions(t))

	b.set(t, "paused")
	b.says(t, "normalize_users is paused, 0 % done: bbmd resume normalize_users lets it go on")
	b.set(t, "active")
	b.set(t, "running")
	b.set(t, "finished")
	require.NoError(t, wait(t, ended))
	require.Equal(t, []int64{1, 2, 3}, b.versions(t))
	require.Equal(t, []string{"started 1", "done 1", "started 2", "done 2", "started 3", "done 3"}, b.heard())
}

func TestRequireOfWhatHasFinishedDoesNotWait(t *testing.T) {
	t.Parallel()
	b := bring(t)
	b.Exec(t, "CREATE TABLE users (id int PRIMARY KEY); SELECT bbm.enqueue('normalize', 'users', name => 'normalize_users')")
	b.set(t, "running")
	b.set(t, "finished")
	b.write(t, map[string]string{"00001_a.sql": "-- bbmd:require finished normalize_users\n" + up("CREATE TABLE a (id int);")})
	require.NoError(t, b.run(t))
}

func TestRequireSaysWhyItIsInVain(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		status []string
		text   string
	}{
		"it has failed":        {[]string{"running", "failed"}, "that has failed: "},
		"it is cancelled":      {[]string{"cancelled"}, "that is cancelled: "},
		"there is no such one": {nil, "there is no background migration of that name: "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := bring(t)
			b.Exec(t, "CREATE TABLE users (id int PRIMARY KEY)")
			if test.status != nil {
				b.Exec(t, "SELECT bbm.enqueue('normalize', 'users', name => 'normalize_users')")
			}
			for _, status := range test.status {
				b.set(t, status)
			}
			b.write(t, map[string]string{"00001_a.sql": "-- bbmd:require finished normalize_users\n" + up("CREATE TABLE a (id int);")})
			err := b.run(t)
			require.ErrorContains(t, err, "00001_a.sql: it requires that normalize_users has finished, and "+test.text)
			require.Equal(t, initialize.KindFailed, initialize.KindOf(err))
			require.Empty(t, b.heard())
		})
	}
}

func TestRequireIsToldWhenAMigrationFailsMeanwhile(t *testing.T) {
	t.Parallel()
	b := requiring(t)
	ended := background(t, t.Context(), b.prepare(t))
	b.says(t, "waits: ")
	b.set(t, "running")
	b.Exec(t, "UPDATE bbm.batched_background_migrations SET status = 'failed', error_message = 'row 7 is not an address' WHERE name = 'normalize_users'")
	err := wait(t, ended)
	require.ErrorContains(t, err, "that has failed: row 7 is not an address: mend the cause, then bbmd retry normalize_users")
}

func TestRequireWaitsSoLong(t *testing.T) {
	t.Parallel()
	b := requiring(t)
	b.spec.Limits.Finish = 50 * time.Millisecond
	err := b.run(t)
	require.ErrorContains(t, err, "normalize_users has not finished within 50ms")
	require.ErrorContains(t, err, "normalize_users is active")
	require.Equal(t, initialize.KindTransient, initialize.KindOf(err))
	_ = failedStep(t, err)
}

func TestInterruptedRunSaysHowFarItCame(t *testing.T) {
	t.Parallel()
	s := newSubject(t)
	s.write(t, two)
	s.write(t, map[string]string{"00003_wait.sql": up(atGate)})
	g := closedGate(t, s)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan initialize.Result, 1)
	go func() {
		result, _ := initialize.Apply(ctx, s.spec)
		ended <- result
	}()
	s.awaitAtGate(t)
	cancel()
	require.Equal(t, []string{"2"}, (<-ended).To)
	g.open(t)
	require.Equal(t, []string{"3"}, s.apply(t).To)
}

func TestRequireEndsWithItsContext(t *testing.T) {
	t.Parallel()
	b := requiring(t)
	stop := errors.New("SIGTERM")
	ctx, cancel := context.WithCancelCause(t.Context())
	ended := background(t, ctx, b.prepare(t))
	b.says(t, "waits: ")
	cancel(stop)
	err := wait(t, ended)
	require.ErrorIs(t, err, stop)
	require.Equal(t, initialize.KindTransient, initialize.KindOf(err))
	b.nobody(t)
}

// finish makes a background migration one that has finished.
func finish(ctx context.Context, conn *pgx.Conn, name string) error {
	for _, status := range []string{control.StatusRunning, control.StatusFinished} {
		if _, err := conn.Exec(ctx, "UPDATE bbm.batched_background_migrations SET status = $1 WHERE name = $2", status, name); err != nil {
			return err
		}
	}
	return nil
}

func TestRequireRunsInline(t *testing.T) {
	t.Parallel()
	for name, prepare := range map[string]func(*bringing){
		"on a fresh database":  func(b *bringing) { b.target.Fresh = true },
		"when it is asked for": func(b *bringing) { b.spec.FinalizeAlways = true },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := requiring(t)
			prepare(b)
			conn := b.Conn(t)
			b.spec.Finalize = func(ctx context.Context, name string) error { return finish(ctx, conn, name) }
			require.NoError(t, b.run(t))
			require.Equal(t, []int64{1, 2, 3}, b.versions(t))
			require.Contains(t, b.said.String(), "00003_check.sql requires normalize_users: it is run now")
		})
	}
}

func TestRequireSaysWhatKeptItFromRunningInline(t *testing.T) {
	t.Parallel()
	b := requiring(t)
	b.target.Fresh = true
	b.spec.Finalize = func(context.Context, string) error { return errors.New("the Work normalize is not registered here") }
	require.ErrorContains(t, b.run(t), "it requires that normalize_users has finished: run it: the Work normalize is not registered here")
	b.spec.Finalize = func(context.Context, string) error { return nil }
	require.ErrorContains(t, b.run(t), "after it was run it is active")
}

func TestRequireOfWhatAFreshDatabaseNeverHad(t *testing.T) {
	t.Parallel()
	b := bring(t)
	b.write(t, map[string]string{"00001_a.sql": "-- bbmd:require finished normalize_users\n" + up("CREATE TABLE a (id int);")})
	b.target.Fresh = true
	require.NoError(t, b.run(t))
	require.Contains(t, b.said.String(), "which was never enqueued here")
}

// TestEventDoesWithoutNews: the session is as good after a wait that was in vain.
func TestEventDoesWithoutNews(t *testing.T) {
	t.Parallel()
	db := pgtest.NewEmpty(t)
	conn := db.Conn(t)
	_, err := conn.Exec(t.Context(), "LISTEN bbm_status")
	require.NoError(t, err)
	for range 3 {
		require.NoError(t, initialize.Event(t.Context(), conn, time.Millisecond))
	}
	db.Exec(t, "NOTIFY bbm_status")
	begun := time.Now()
	require.NoError(t, initialize.Event(t.Context(), conn, time.Hour))
	require.Less(t, time.Since(begun), patience)
	db.Exec(t, "SELECT pg_terminate_backend($1)", int32(conn.PgConn().PID()))
	require.Error(t, initialize.Event(t.Context(), conn, time.Hour))
}

// TestRequireIsNothingToAShadow: there, what is enqueued is run by nobody.
func TestRequireIsNothingToAShadow(t *testing.T) {
	t.Parallel()
	b := requiring(t)
	b.target.Fresh, b.target.Shadow = true, true
	b.Exec(t, "DROP SCHEMA bbm CASCADE")
	require.NoError(t, b.run(t))
	require.Equal(t, []int64{1, 2, 3}, b.versions(t))
}

// TestRequireOfARevision: Alembic runs up to it, waits, and goes on.
func TestRequireOfARevision(t *testing.T) {
	t.Parallel()
	b := bringAlembic(t, alembics(t)["fake"])
	files := b.files(t)
	pending := files.Steps()
	for i := range pending {
		if pending[i].Version == "f6a7b8c9d0e1" {
			pending[i].Requires = []string{"fill"}
		}
	}
	b.target.Fresh = true
	var seen string
	conn := b.Conn(t)
	b.spec.Finalize = func(ctx context.Context, name string) error {
		if err := conn.QueryRow(ctx, "SELECT string_agg(version_num, ' ') FROM alembic_version").Scan(&seen); err != nil {
			return err
		}
		return finish(ctx, conn, name)
	}
	b.Exec(t, "CREATE TABLE other (id int PRIMARY KEY); SELECT bbm.enqueue('fill', 'other', name => 'fill')")
	require.NoError(t, initialize.RunSteps(t.Context(), b.spec, b.target, history.Alembic, files, pending, initialize.Watch{}))
	require.Equal(t, "e5f6a7b8c9d0", seen)
	require.Equal(t, []string{"f6a7b8c9d0e1"}, b.rows(t))
	require.Equal(t, control.StatusFinished, pgtest.One[string](t, b.Database, "SELECT status FROM bbm.batched_background_migrations"))
}
