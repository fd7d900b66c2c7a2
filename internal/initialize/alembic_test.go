package initialize_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/internal/history"
	"github.com/bbmd-dev/bbmd/internal/initialize"
	"github.com/bbmd-dev/bbmd/testing/need"
	"github.com/bbmd-dev/bbmd/testing/pgtest"
)

// realAlembic is what alembics has for the program that the machine has to have.
const realAlembic = "alembic"

// alembics are the programs that have to behave as Alembic: one that this test
// is itself, and the real one, which needed looks for.
func alembics(t *testing.T) map[string][]string {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	return map[string][]string{"fake": {self}, "real": {realAlembic}}
}

// needed returns a command of alembics by the path that its program has here.
func needed(t *testing.T, command []string) []string {
	t.Helper()
	if slices.Equal(command, []string{realAlembic}) {
		return []string{need.Program(t, realAlembic)}
	}
	return command
}

// bringAlembic prepares to bring a new database up with the sample's revisions.
func bringAlembic(t *testing.T, command []string) *bringing {
	t.Helper()
	command = needed(t, command)
	b := bring(t)
	project := t.TempDir()
	require.NoError(t, os.CopyFS(project, os.DirFS("testdata/alembic")))
	b.spec.Migrations = filepath.Join(project, "migrations")
	b.spec.Command = command
	b.spec.Environment = []string{fakeVariable + "=alembic"}
	return b
}

func (b *bringing) rows(t *testing.T) []string {
	t.Helper()
	return pgtest.Column[string](t, b.Database, "SELECT version_num::text FROM alembic_version ORDER BY 1")
}

// until runs what a revision needs, and no more.
func (b *bringing) until(t *testing.T, revision string) {
	t.Helper()
	files := b.files(t)
	needs, err := files.Until([]string{revision})
	require.NoError(t, err)
	records, err := history.Find(t.Context(), b.Conn(t), "bbm")
	require.NoError(t, err)
	if len(records) > 0 {
		b.target.Table = records[0]
	}
	pending := slices.DeleteFunc(files.Compare(b.target.Table.Applied).Pending, func(s history.Step) bool {
		return !slices.ContainsFunc(needs, func(n history.Step) bool { return n.Version == s.Version })
	})
	require.NoError(t, initialize.RunSteps(t.Context(), b.spec, b.target, history.Alembic, files, pending, initialize.Watch{}))
}

func TestAlembicRunsEverything(t *testing.T) {
	t.Parallel()
	eachAlembic(t, func(t *testing.T, b *bringing) {
		t.Helper()
		require.NoError(t, b.run(t))
		require.Equal(t, []string{"f6a7b8c9d0e1"}, b.rows(t))
		heard := b.heard()
		require.Len(t, heard, 12)
		for i := 0; i < len(heard); i += 2 {
			require.Equal(t, strings.TrimPrefix(heard[i], "started "), strings.TrimPrefix(heard[i+1], "done "), "one step at a time: %s", heard)
		}
		require.Contains(t, b.said.String(), "Running upgrade b2c3d4e5f6a7, d4e5f6a7b8c9 -> e5f6a7b8c9d0, merge branches A and B")
		require.True(t, pgtest.One[bool](t, b.Database, "SELECT indisvalid FROM pg_index WHERE indexrelid = 'ix_invoice_account'::regclass"))
		require.NoError(t, b.run(t))
		require.Len(t, b.heard(), 12, "a second run has nothing to do")
	})
}

// TestAlembicLeavesTheRowsOfEachStage compares with what Alembic left when its stages were recorded.
func TestAlembicLeavesTheRowsOfEachStage(t *testing.T) {
	t.Parallel()
	eachAlembic(t, func(t *testing.T, b *bringing) {
		t.Helper()
		for _, stage := range []struct {
			upgrade string
			rows    []string
		}{
			{"a1b2c3d4e5f6", []string{"a1b2c3d4e5f6"}},
			{"b2c3d4e5f6a7", []string{"b2c3d4e5f6a7"}},
			{"c3d4e5f6a7b8", []string{"b2c3d4e5f6a7", "c3d4e5f6a7b8"}},
			{"d4e5f6a7b8c9", []string{"b2c3d4e5f6a7", "d4e5f6a7b8c9"}},
			{"e5f6a7b8c9d0", []string{"e5f6a7b8c9d0"}},
			{"f6a7b8c9d0e1", []string{"f6a7b8c9d0e1"}},
		} {
			b.until(t, stage.upgrade)
			require.Equal(t, stage.rows, b.rows(t), stage.upgrade)
		}
	})
}

func TestAlembicTriesAgainForItsLock(t *testing.T) {
	t.Parallel()
	eachAlembic(t, func(t *testing.T, b *bringing) {
		t.Helper()
		b.until(t, "e5f6a7b8c9d0")
		end := b.begin(t, "SELECT FROM account")
		ended := background(t, t.Context(), b.prepare(t))
		b.says(t, "(SQLSTATE 55P03): again in ")
		end()
		require.NoError(t, wait(t, ended))
		require.Equal(t, []string{"f6a7b8c9d0e1"}, b.rows(t))
	})
}

func TestAlembicBuildsConcurrentlyBesideLongTransactions(t *testing.T) {
	t.Parallel()
	eachAlembic(t, func(t *testing.T, b *bringing) {
		t.Helper()
		b.until(t, "c3d4e5f6a7b8")
		b.spec.Limits.LockTimeout = 20 * time.Millisecond
		end := b.begin(t, "SELECT FROM invoice")
		ended := background(t, t.Context(), b.prepare(t))
		b.await(t, `SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'CREATE INDEX CONCURRENTLY%'
		AND wait_event_type = 'Lock' AND clock_timestamp() - query_start > interval '300 ms')`)
		end()
		require.NoError(t, wait(t, ended))
		require.True(t, pgtest.One[bool](t, b.Database, "SELECT indisvalid FROM pg_index WHERE indexrelid = 'ix_invoice_account'::regclass"))
	})
}

func TestAlembicSaysWhereARevisionFails(t *testing.T) {
	t.Parallel()
	eachAlembic(t, func(t *testing.T, b *bringing) {
		t.Helper()
		b.until(t, "b2c3d4e5f6a7")
		b.Exec(t, "CREATE TABLE invoice (id int)")
		err := b.run(t)
		step := failedStep(t, err)
		require.Equal(t, "c3d4e5f6a7b8", step.Version)
		require.Equal(t, "c3d4e5f6a7b8_add_invoice.py", filepath.Base(step.File))
		require.Equal(t, 17, step.Line)
		require.Contains(t, step.SQL, "CREATE TABLE invoice (")
		var pg *pgconn.PgError
		require.ErrorAs(t, err, &pg)
		require.Equal(t, "42P07", pg.Code)
		require.Contains(t, err.Error(), `c3d4e5f6a7b8_add_invoice.py:17: alembic upgrade c3d4e5f6a7b8: exit status 1: ERROR: relation "invoice" already exists (SQLSTATE 42P07)`)
		require.Equal(t, initialize.KindFailed, initialize.KindOf(err))
		require.Equal(t, []string{"b2c3d4e5f6a7"}, b.rows(t))
	})
}

// TestAlembicIsEndedWithItsSession: its process may be gone, and the statement goes on.
func TestAlembicIsEndedWithItsSession(t *testing.T) {
	t.Parallel()
	eachAlembic(t, func(t *testing.T, b *bringing) {
		t.Helper()
		b.until(t, "c3d4e5f6a7b8")
		if b.Major(t) >= 14 { // else the server may find out by itself, before anybody ends the session
			b.spec.Environment = append(b.spec.Environment, "PGOPTIONS=-c client_connection_check_interval=0")
		}
		end := b.begin(t, "SELECT FROM invoice")
		defer end()
		stop := errors.New("SIGTERM")
		ctx, cancel := context.WithCancelCause(t.Context())
		ended := background(t, ctx, b.prepare(t))
		b.blocked(t)
		cancel(stop)
		err := wait(t, ended)
		b.nobody(t)
		require.ErrorIs(t, err, stop)
		require.Equal(t, initialize.KindTransient, initialize.KindOf(err))
		require.Equal(t, "d4e5f6a7b8c9", failedStep(t, err).Version)
		require.Contains(t, b.said.String(), "ended session ")
	})
}

func TestAlembicInOneTransaction(t *testing.T) {
	t.Parallel()
	eachAlembic(t, func(t *testing.T, b *bringing) {
		t.Helper()
		env := filepath.Join(b.spec.Migrations, "env.py")
		text, err := os.ReadFile(env)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(env, []byte(strings.Replace(string(text), "transaction_per_migration=True", "transaction_per_migration=False", 1)), 0o600))
		b.spec.Environment = append(b.spec.Environment, "FAKE=single")
		b.Superuser(t).Exec(t, `CREATE FUNCTION refuse() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN IF current_query() ~ 'invoice|display_name' THEN RAISE 'not today'; END IF; END $$;
		CREATE EVENT TRIGGER refuse ON ddl_command_start EXECUTE FUNCTION refuse()`)
		err = b.run(t)
		require.Contains(t, []string{"b2c3d4e5f6a7", "c3d4e5f6a7b8"}, failedStep(t, err).Version)
		require.ErrorContains(t, err, "not today (SQLSTATE P0001)")
		require.Empty(t, b.tables(t), "all of it is undone")
		require.Equal(t, []string{"started a1b2c3d4e5f6"}, b.heard(), "nothing can be told of as done")

		b.Superuser(t).Exec(t, "DROP EVENT TRIGGER refuse")
		require.NoError(t, b.run(t))
		require.Len(t, b.heard(), 13)
		require.Equal(t, []string{"f6a7b8c9d0e1"}, b.rows(t))
	})
}

func TestAlembicThatSaysNothing(t *testing.T) {
	t.Parallel()
	b := bringAlembic(t, alembics(t)["fake"])
	b.spec.Environment = append(b.spec.Environment, "FAKE=quiet")
	require.NoError(t, b.run(t))
	require.Len(t, b.heard(), 12)
	require.Equal(t, []string{"f6a7b8c9d0e1"}, b.rows(t))
}

func TestAlembicThatFailsWhenAllIsDone(t *testing.T) {
	t.Parallel()
	b := bringAlembic(t, alembics(t)["fake"])
	b.target.Fresh = true
	b.spec.Environment = append(b.spec.Environment, "FAKE=late")
	err := b.run(t)
	require.ErrorContains(t, err, "exit status 1")
	require.ErrorContains(t, err, "(all that it was to apply is applied)")
	require.Equal(t, initialize.KindFailed, initialize.KindOf(err))
	require.Len(t, b.heard(), 12)
	require.Equal(t, []string{"f6a7b8c9d0e1"}, b.rows(t))
}

func TestAlembicIsNotTakenAtItsWord(t *testing.T) {
	t.Parallel()
	b := bringAlembic(t, alembics(t)["fake"])
	b.spec.Environment = append(b.spec.Environment, "FAKE=idle")
	err := b.run(t)
	require.Regexp(t, "alembic upgrade (b2c3d4e5f6a7|c3d4e5f6a7b8) reported success, and the version table lacks", err)
	require.Equal(t, initialize.KindFailed, initialize.KindOf(err))
	require.Empty(t, b.heard())
}

func TestAlembicKeepsSecrets(t *testing.T) {
	t.Parallel()
	b := bringAlembic(t, alembics(t)["fake"])
	b.spec.Environment = append(b.spec.Environment, "FAKE=leak", "FAKE_VARIABLE=AUTH_DATABASE_URL")
	b.spec.URLVariable = "AUTH_DATABASE_URL"
	require.NoError(t, b.run(t))
	require.Contains(t, b.said.String(), "connecting to postgresql://")
	require.Contains(t, b.said.String(), ":***@")
}

func TestAlembicThatIsNotThere(t *testing.T) {
	t.Parallel()
	b := bringAlembic(t, []string{"alembic-of-another-world"})
	err := b.run(t)
	require.ErrorContains(t, err, "install Alembic where bbmd runs, or give command")
	require.Equal(t, initialize.KindConfig, initialize.KindOf(err))
}

func TestAlembicThatFailsBeforeAnyRevision(t *testing.T) {
	t.Parallel()
	b := bringAlembic(t, alembics(t)["fake"])
	b.spec.Arguments = []string{"upgrade"} // more than one
	err := b.run(t)
	require.Regexp(t, "alembic upgrade (b2c3d4e5f6a7|c3d4e5f6a7b8): exit status 2: usage: alembic", err)
	require.Equal(t, initialize.KindFailed, initialize.KindOf(err))
}

func TestAlembicCall(t *testing.T) {
	t.Parallel()
	project, err := filepath.Abs("testdata/alembic")
	require.NoError(t, err)
	ini := filepath.Join(project, "alembic.ini")
	for name, test := range map[string]struct {
		change func(*initialize.Spec)
		argv   []string
		dir    string
	}{
		"as it is":   {func(*initialize.Spec) {}, []string{"alembic", "-c", ini, "upgrade", "heads"}, project},
		"by another": {func(s *initialize.Spec) { s.Command = []string{"python", "-m", "alembic"} }, []string{"python", "-m", "alembic", "-c", ini, "upgrade", "heads"}, project},
		"with all that can be said": {func(s *initialize.Spec) {
			s.HistoryOptions = history.Options{Config: "testdata/other.ini", Section: "billing", WorkDir: "/srv"}
			s.Arguments = []string{"-x", "tenant=a"}
		}, []string{"alembic", "-c", filepath.Join(filepath.Dir(project), "other.ini"), "-n", "billing", "-x", "tenant=a", "upgrade", "heads"}, "/srv"},
		"elsewhere": {func(s *initialize.Spec) { s.Dir = "/app" }, []string{"alembic", "-c", ini, "upgrade", "heads"}, "/app"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := initialize.Spec{Database: "test", Migrations: "testdata/alembic/migrations"}
			test.change(&s)
			argv, dir, err := initialize.AlembicCall(s)
			require.NoError(t, err)
			require.Equal(t, test.argv, argv)
			require.Equal(t, test.dir, dir)
		})
	}
}

func TestAlembicCallWithAProject(t *testing.T) {
	t.Parallel()
	project := t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(project, "migrations", "versions"), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(project, "pyproject.toml"), []byte("[tool.alembic]\nscript_location = \"migrations\"\n"), 0o600))
	argv, dir, err := initialize.AlembicCall(initialize.Spec{Migrations: filepath.Join(project, "migrations")})
	require.NoError(t, err)
	require.Equal(t, []string{"alembic", "upgrade", "heads"}, argv, "those that know the file find it there, and older ones have no argument for it")
	require.Equal(t, project, dir)
}

func TestAlembicParts(t *testing.T) {
	t.Parallel()
	files, err := history.Open("testdata/alembic/migrations", history.Alembic, history.Options{})
	require.NoError(t, err)
	pending := files.Steps()
	parts, err := initialize.Parts(files, pending, false)
	require.NoError(t, err)
	for _, part := range parts {
		slices.Sort(part)
	}
	require.Equal(t, [][]string{{"b2c3d4e5f6a7", "c3d4e5f6a7b8"}, {"d4e5f6a7b8c9"}, {"f6a7b8c9d0e1"}}, parts)
	last := slices.IndexFunc(pending, func(s history.Step) bool { return s.Version == "f6a7b8c9d0e1" })
	pending[last].Requires = []string{"fill_is_active"}
	parts, err = initialize.Parts(files, pending, false)
	require.NoError(t, err)
	require.Equal(t, [][]string{{"e5f6a7b8c9d0"}, {"f6a7b8c9d0e1"}}, parts[2:])
	parts, err = initialize.Parts(files, pending, true)
	require.NoError(t, err)
	require.Equal(t, [][]string{{"e5f6a7b8c9d0"}, {"f6a7b8c9d0e1"}}, parts, "nobody is to be waited for where the database is new")
}

func TestAlembicsWordsAreUnderstood(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]string{
		"INFO  [alembic.runtime.migration] Running upgrade  -> a1b2c3d4e5f6, create account":                          "a1b2c3d4e5f6",
		"INFO  [alembic.runtime.migration] Running upgrade b2c3d4e5f6a7, d4e5f6a7b8c9 -> e5f6a7b8c9d0, merge, A -> B": "e5f6a7b8c9d0",
		"2026-01-05 10:00:00 alembic Running upgrade a -> 2026_01-b":                                                  "2026_01-b",
		"INFO  [alembic.runtime.migration] Running downgrade f6 -> e5, add":                                           "",
	} {
		revision, ok := initialize.RevisionOf(line)
		require.Equal(t, want, revision)
		require.Equal(t, want != "", ok)
	}
	trace := strings.Split(`  File "/app/migrations/versions/a1.py", line 3, in <module>
  File "/app/migrations/versions/a1.py", line 22, in upgrade
  File "/usr/lib/python3/sqlalchemy/base.py", line 5, in x
[SQL: CREATE TABLE a (
	id INT
)]
(Background on this error at: https://sqlalche.me/e/14/f405)`, "\n")
	require.Equal(t, 22, initialize.TracedLine(trace, "/elsewhere/versions/a1.py"))
	require.Zero(t, initialize.TracedLine(trace, "a2.py"))
	require.Equal(t, "CREATE TABLE a (\n\tid INT\n)", initialize.StatementIn(trace))
	require.Empty(t, initialize.StatementIn(trace[:2]))
}
