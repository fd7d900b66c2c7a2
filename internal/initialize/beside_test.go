package initialize_test

import (
	"fmt"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/internal/control"
	"github.com/bbmd-dev/bbmd/internal/initialize"
	"github.com/bbmd-dev/bbmd/testing/pgtest"
)

func TestIndexIsBuiltWhileOthersWaitForTheLock(t *testing.T) {
	t.Parallel()
	s := newSubject(t)
	s.write(t, map[string]string{"1_a.sql": up("CREATE TABLE a (id int);")})
	s.apply(t)
	s.write(t, map[string]string{"2_i.sql": upOutside("CREATE INDEX CONCURRENTLY i ON a (id);")})
	writer := s.Conn(t)
	tx, err := writer.Begin(t.Context())
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), "INSERT INTO a VALUES (1)")
	require.NoError(t, err)

	ended := make(chan error, 2)
	begin := func() {
		go func() { _, err := initialize.Apply(t.Context(), s.spec); ended <- err }()
	}
	begin()
	s.WaitFor(t, "SELECT EXISTS (SELECT FROM pg_stat_progress_create_index WHERE datname = current_database())")
	begin()
	s.WaitFor(t, "SELECT count(*) = 4 FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'bbmd/test/initialize'")
	require.NoError(t, tx.Commit(t.Context()))
	require.NoError(t, <-ended)
	require.NoError(t, <-ended)
	require.True(t, pgtest.One[bool](t, s.Database, "SELECT indisvalid FROM pg_index WHERE indexrelid = 'i'::regclass"))
	require.Len(t, s.runs(t), 2)
}

func TestProcessesAtOnceApplyEachStepOnce(t *testing.T) {
	t.Parallel()
	const steps, processes = 8, 3
	s := newSubject(t)
	s.write(t, map[string]string{"1_n.sql": up("CREATE TABLE n (n int);\nINSERT INTO n VALUES (0);")})
	for i := range steps {
		s.write(t, map[string]string{fmt.Sprintf("%d_n.sql", i+2): up("UPDATE n SET n = n + 1;")})
	}
	children := make([]*exec.Cmd, 0, processes)
	for range processes {
		children = append(children, s.startChild(t))
	}
	s.apply(t)
	for _, child := range children {
		require.NoError(t, child.Wait())
	}
	require.Equal(t, steps, pgtest.One[int](t, s.Database, "SELECT n FROM n"))
	require.Len(t, s.runs(t), 1)
	require.Equal(t, control.OutcomeFinished, s.runs(t)[0].Outcome)
}

func TestRoleThatMayNotIsToldSo(t *testing.T) {
	t.Parallel()
	s := newSubject(t)
	s.write(t, two)
	s.role(t, "LOGIN")

	result, err := initialize.Apply(t.Context(), s.spec)
	refused(t, err, initialize.RefusedPrivilege)
	require.Equal(t, initialize.Empty, result.Before)
	require.False(t, result.Changed())
	require.Empty(t, s.tables(t))
}

func TestControlSchemaOfANewerBbmdIsRefused(t *testing.T) {
	t.Parallel()
	s := newSubject(t)
	s.write(t, two)
	s.apply(t)
	s.Exec(t, "INSERT INTO bbm.versions (version, oldest_compatible) VALUES (1000, 1000)")
	s.write(t, map[string]string{"3_c.sql": up("CREATE TABLE c ();")})
	_, err := initialize.Apply(t.Context(), s.spec)
	require.ErrorIs(t, err, control.ErrNewer)
	require.Equal(t, initialize.KindRefused, initialize.KindOf(err))
	require.Equal(t, []int64{1, 2}, s.versions(t))
}

func TestTwoHistoriesInOneDatabase(t *testing.T) {
	t.Parallel()
	one := newSubject(t)
	other := about(t, one.Database)
	one.write(t, map[string]string{"1_a.sql": up("CREATE TABLE a ();")})
	other.write(t, map[string]string{"1_b.sql": up("CREATE TABLE b ();")})
	other.spec.Baseline = "base"
	one.spec.VersionTable, other.spec.VersionTable = "public.one_version", "public.other_version"

	for range 2 {
		one.apply(t)
		other.apply(t)
	}
	require.Equal(t, []string{"a", "b", "one_version", "other_version"}, one.tables(t))
	require.Equal(t, initialize.ActNothing, one.apply(t).Action)
	require.Equal(t, initialize.ActNothing, other.apply(t).Action)
}

func TestRunThatDiedAtItsVeryEndIsTidied(t *testing.T) {
	t.Parallel()
	s := newSubject(t)
	s.write(t, two)
	s.apply(t)
	s.Exec(t, "UPDATE bbm.runs SET outcome = 'running', finished_at = NULL")
	require.Equal(t, initialize.ActNothing, s.apply(t).Action)
	require.Equal(t, control.OutcomeInterrupted, s.runs(t)[0].Outcome)
}
