package initialize_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/internal/control"
	"github.com/bbmd-dev/bbmd/internal/initialize"
	"github.com/bbmd-dev/bbmd/testing/pgtest"
)

// gate is an advisory lock at which statements of migrations stop until it opens.
type gate struct{ conn *pgx.Conn }

const atGate = "SELECT pg_advisory_lock(77), pg_advisory_unlock(77);"

func closedGate(t *testing.T, s *subject) gate {
	t.Helper()
	conn := s.Conn(t)
	_, err := conn.Exec(t.Context(), "SELECT pg_advisory_lock(77)")
	require.NoError(t, err)
	return gate{conn}
}

func (g gate) open(t *testing.T) {
	t.Helper()
	_, err := g.conn.Exec(t.Context(), "SELECT pg_advisory_unlock_all()")
	require.NoError(t, err)
}

// awaitAtGate waits until somebody stands at the gate.
func (s *subject) awaitAtGate(t *testing.T) {
	t.Helper()
	s.WaitFor(t, "SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND objid = 77 AND NOT granted AND database = (SELECT oid FROM pg_database WHERE datname = current_database()))")
}

// startChild applies in a process of its own, which is to be killed.
func (s *subject) startChild(t *testing.T, variables ...string) *exec.Cmd {
	t.Helper()
	program, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), program)
	cmd.Env = append(os.Environ(), childURL+"="+s.URL, childMigrations+"="+s.spec.Migrations, childModels+"="+s.spec.Models.Path)
	cmd.Env = append(cmd.Env, variables...)
	cmd.Stdout, cmd.Stderr = t.Output(), t.Output()
	require.NoError(t, cmd.Start())
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	return cmd
}

func kill(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	require.NoError(t, cmd.Process.Kill())
	_ = cmd.Wait() // it was killed
}

func TestKilledInAStepInATransaction(t *testing.T) {
	t.Parallel()
	s := newSubject(t)
	s.write(t, two)
	s.write(t, map[string]string{"00003_c.sql": up("CREATE TABLE c ();\n" + atGate), "00004_d.sql": up("CREATE TABLE d ();")})
	g := closedGate(t, s)
	cmd := s.startChild(t)
	s.awaitAtGate(t)
	kill(t, cmd)

	f := s.inspect(t)
	require.Equal(t, initialize.Versioned, f.State)
	require.Len(t, f.Pending, 2)
	require.Equal(t, int64(1), f.Interrupted)
	// Its session would go on to commit the step: it still stands at the gate.
	ended := make(chan error, 1)
	go func() { _, err := initialize.Apply(t.Context(), s.spec); ended <- err }()
	s.WaitFor(t, "SELECT count(*) = 1 FROM bbm.runs WHERE outcome = 'interrupted'")
	g.open(t)
	require.NoError(t, <-ended)

	require.Equal(t, []int64{1, 2, 3, 4}, s.versions(t))
	runs := s.runs(t)
	require.Equal(t, []string{control.OutcomeFinished, control.OutcomeInterrupted}, []string{runs[0].Outcome, runs[1].Outcome})
	require.Contains(t, runs[0].Log, "run 1 was interrupted")
	require.Equal(t, 4, pgtest.One[int](t, s.Database, "SELECT count(*) FROM bbm.applied"))
}

func TestSessionsOfAKilledRunAreEnded(t *testing.T) {
	t.Parallel()
	s := newSubject(t)
	s.write(t, two)
	orphan, err := connect(t.Context(), s.URL, initialize.ApplicationPrefix+"another name of it", "")
	require.NoError(t, err)
	defer orphan.Close(t.Context()) //nolint:errcheck // it is to be cut

	s.apply(t)
	require.Error(t, orphan.Ping(t.Context()))
	require.Contains(t, s.runs(t)[0].Log, "(bbmd-migrate/another name of it)")
	require.Contains(t, s.runs(t)[0].Log, "which a killed run had left")
}

func TestKilledWhileModelsRun(t *testing.T) {
	t.Parallel()
	s := newSubject(t)
	s.write(t, two)
	s.models(t, twoTables+"\nCREATE TABLE gated AS SELECT pg_advisory_xact_lock(77)::text AS x;")
	g := closedGate(t, s)
	cmd := s.startChild(t)
	s.awaitAtGate(t)
	kill(t, cmd)

	require.Equal(t, initialize.Empty, s.inspect(t).State)
	g.open(t)
	s.apply(t)
	require.Equal(t, []string{"gated", "goose_db_version", "orders", "users"}, s.tables(t))
}

func TestKilledInTheFirstStepOutsideATransaction(t *testing.T) {
	t.Parallel()
	s := newSubject(t)
	s.write(t, map[string]string{
		"1_a.sql": upOutside("CREATE TABLE IF NOT EXISTS a (id int);\n" + atGate + "\nCREATE TABLE IF NOT EXISTS b (id int);"),
		"2_c.sql": up("CREATE TABLE c (id int);"),
	})
	g := closedGate(t, s)
	cmd := s.startChild(t)
	s.awaitAtGate(t)
	kill(t, cmd)

	f := s.inspect(t)
	require.Equal(t, initialize.Empty, f.State, "what is there is its own")
	require.Contains(t, f.Reason, "run 1 began on the empty database")
	g.open(t)
	require.Equal(t, []string{"2"}, s.apply(t).To)
	require.Equal(t, []string{"a", "b", "c", "goose_db_version"}, s.tables(t))
}

func TestKilledWhileAnIndexIsBuilt(t *testing.T) {
	t.Parallel()
	s := newSubject(t)
	s.write(t, map[string]string{"1_a.sql": up("CREATE TABLE a (id int);\nCREATE INDEX others ON a (id);")})
	s.apply(t)
	s.write(t, map[string]string{"2_i.sql": upOutside("CREATE INDEX CONCURRENTLY i ON a (id);")})
	reader := s.Conn(t)
	tx, err := reader.BeginTx(t.Context(), pgx.TxOptions{IsoLevel: pgx.RepeatableRead})
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), "SELECT * FROM a")
	require.NoError(t, err)
	cmd := s.startChild(t)
	s.WaitFor(t, "SELECT EXISTS (SELECT FROM pg_index WHERE NOT indisvalid)")
	kill(t, cmd)
	require.Equal(t, initialize.Versioned, s.inspect(t).State)
	require.NoError(t, tx.Rollback(t.Context()))

	require.Equal(t, []string{"2"}, s.apply(t).To)
	require.Equal(t, []string{"goose_db_version_pkey true", "i true", "others true"}, pgtest.Column[string](t, s.Database,
		"SELECT c.relname || ' ' || i.indisvalid FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid WHERE c.relnamespace = 'public'::regnamespace ORDER BY 1"))
}

func TestKilledAfterAnIndexWasBuilt(t *testing.T) {
	t.Parallel()
	s := newSubject(t)
	s.write(t, map[string]string{"1_a.sql": up("CREATE TABLE a (id int);\nCREATE INDEX others ON a (id);")})
	s.apply(t)
	s.write(t, map[string]string{"2_i.sql": upOutside("CREATE INDEX CONCURRENTLY \"I\" ON a (id);\n" + atGate)})
	g := closedGate(t, s)
	cmd := s.startChild(t)
	s.awaitAtGate(t)
	kill(t, cmd)
	s.Exec(t, "CREATE INDEX mine ON a (id)") // meanwhile, by hand

	g.open(t)
	require.Equal(t, []string{"2"}, s.apply(t).To)
	require.Contains(t, s.runs(t)[0].Log, `dropped index "I"`)
	require.Equal(t, []string{"I", "mine", "others"}, pgtest.Column[string](t, s.Database, "SELECT indexname::text FROM pg_indexes WHERE tablename = 'a' ORDER BY 1"))
}

func TestKilledWhileRecreating(t *testing.T) {
	t.Parallel()
	s := disposable(t)
	s.write(t, map[string]string{"00003_c.sql": upOutside("CREATE TABLE IF NOT EXISTS c ();\n" + atGate)})
	g := closedGate(t, s)
	cmd := s.startChild(t, childRecreates+"=yes")
	s.awaitAtGate(t)
	kill(t, cmd)
	s.Exec(t, "DROP TABLE users, orders; DELETE FROM goose_db_version WHERE version_id > 0") // as if the first steps were not in transactions either

	require.Equal(t, initialize.Empty, s.inspect(t).State)
	g.open(t)
	require.Equal(t, []string{"3"}, s.apply(t).To)
}

func TestSessionsThatEndInTheMiddle(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		who  string // of the run's sessions
		kind initialize.Kind
		fail bool
	}{
		"the one that holds the lock": {"pid = (SELECT backend_pid FROM bbm.runs)", initialize.KindTransient, true},
		"the runner's":                {"application_name LIKE 'bbmd-migrate/%'", initialize.KindTransient, true},
		"the one that records":        {"application_name = 'bbmd/test/initialize' AND pid <> (SELECT backend_pid FROM bbm.runs)", 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSubject(t)
			s.write(t, two)
			s.write(t, map[string]string{"00003_c.sql": up("CREATE TABLE c ();\n" + atGate)})
			s.spec.Limits.LockTimeout = -1
			g := closedGate(t, s)
			ended := make(chan error, 1)
			go func() { _, err := initialize.Apply(t.Context(), s.spec); ended <- err }()
			s.awaitAtGate(t)
			require.Positive(t, pgtest.One[int](t, s.Database, "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = current_database() AND "+test.who))
			if test.fail {
				err := <-ended
				require.Equal(t, test.kind, initialize.KindOf(err), err)
				s.WaitFor(t, "SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE 'bbmd%')")
				require.Equal(t, control.OutcomeFailed, s.runs(t)[0].Outcome)
				require.Equal(t, []int64{1, 2}, s.versions(t))
				g.open(t)
				s.apply(t)
			} else {
				g.open(t)
				require.NoError(t, <-ended)
			}
			require.Equal(t, []int64{1, 2, 3}, s.versions(t))
			require.Equal(t, control.OutcomeFinished, s.runs(t)[0].Outcome)
		})
	}
}

func TestKilledAnywhere(t *testing.T) {
	t.Parallel()
	const steps = 6
	for at := range steps {
		t.Run(strconv.Itoa(at), func(t *testing.T) {
			t.Parallel()
			s := newSubject(t)
			for i := range steps {
				sql := fmt.Sprintf("CREATE TABLE IF NOT EXISTS t%d (id int);\n", i)
				text := up(sql)
				switch {
				case i == at && i%2 == 0:
					text = upOutside(sql + atGate + fmt.Sprintf("\nCREATE INDEX CONCURRENTLY i%d ON t%d (id);", i, i))
				case i == at:
					text = up(sql + atGate)
				case i%3 == 2:
					text = upOutside(sql + fmt.Sprintf("CREATE INDEX CONCURRENTLY i%d ON t%d (id);", i, i))
				}
				s.write(t, map[string]string{fmt.Sprintf("%d_s.sql", i+1): text})
			}
			g := closedGate(t, s)
			cmd := s.startChild(t)
			s.awaitAtGate(t)
			kill(t, cmd)
			g.open(t)
			s.apply(t)
			require.Equal(t, []int64{1, 2, 3, 4, 5, 6}, s.versions(t))
			require.NoError(t, initialize.Verify(t.Context(), s.spec))
			require.Zero(t, pgtest.One[int](t, s.Database, "SELECT count(*) FROM pg_index WHERE NOT indisvalid"))
		})
	}
}

func TestHeldEndsWithTheSession(t *testing.T) {
	t.Parallel()
	db := pgtest.NewEmpty(t)
	conn, other := db.Conn(t), db.Conn(t)
	require.NoError(t, initialize.Held(t.Context(), conn, func(context.Context) error { return nil }))
	require.NoError(t, conn.Ping(t.Context()), "it is as good as before")

	err := initialize.Held(t.Context(), conn, func(ctx context.Context) error {
		_, err := other.Exec(ctx, "SELECT pg_terminate_backend($1)", int32(conn.PgConn().PID()))
		if err != nil {
			return err
		}
		<-ctx.Done()
		return ctx.Err()
	})
	require.ErrorIs(t, err, initialize.ErrLost)
	require.Equal(t, initialize.KindTransient, initialize.KindOf(err))
}
