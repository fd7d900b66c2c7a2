package initialize_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/internal/initialize"
	"github.com/bbmd-dev/bbmd/testing/pgtest"
)

// bringCommand prepares to bring a new database up by a program that this test is itself.
func bringCommand(t *testing.T, program string, environment ...string) *bringing {
	t.Helper()
	b := bring(t)
	self, err := os.Executable()
	require.NoError(t, err)
	b.spec.Migrations, b.spec.History, b.spec.Command = "", initialize.Command, []string{self}
	b.spec.Environment = append([]string{fakeVariable + "=" + program}, environment...)
	return b
}

func (b *bringing) command(ctx context.Context) error {
	return initialize.RunSteps(ctx, b.spec, b.target, initialize.Command, nil, nil, initialize.Watch{})
}

func TestCommandFindsWhatItNeeds(t *testing.T) {
	t.Parallel()
	b := bringCommand(t, "environment", "GREETING=hello")
	b.spec.Dir = t.TempDir()
	require.NoError(t, b.command(t.Context()))
	said := b.said.String()
	require.Regexp(t, `(?m)^DATABASE_URL=postgresql://.*:\*\*\*@`, said)
	require.Contains(t, said, "PGAPPNAME="+initialize.ApplicationName("test")+"\n")
	options := "PGOPTIONS=-c lock_timeout=200 -c statement_timeout=0"
	if b.Major(t) >= 14 { // which has it
		options += " -c client_connection_check_interval=1000"
	}
	require.Contains(t, said, options+"\n")
	require.Contains(t, said, "GREETING=hello\n")
	dir, err := filepath.EvalSymlinks(b.spec.Dir)
	require.NoError(t, err)
	require.Contains(t, said, "in "+dir+"\n")

	b.spec.URLVariable = "BILLING_URL"
	require.NoError(t, b.command(t.Context()))
	require.Contains(t, b.said.String(), "BILLING_URL=postgresql://")
}

func TestCommandWorksOnTheDatabase(t *testing.T) {
	t.Parallel()
	b := bringCommand(t, "sql", "SQL=CREATE TABLE limits AS SELECT current_setting('lock_timeout') AS lock_timeout, current_setting('application_name') AS name")
	require.NoError(t, b.command(t.Context()))
	require.Equal(t, "200ms "+initialize.ApplicationName("test"), pgtest.One[string](t, b.Database, "SELECT lock_timeout || ' ' || name FROM limits"))
}

func TestCommandSaysWhatWasRefused(t *testing.T) {
	t.Parallel()
	b := bringCommand(t, "sql", "SQL=SELECT nothing")
	err := b.command(t.Context())
	var pg *pgconn.PgError
	require.ErrorAs(t, err, &pg)
	require.Equal(t, "42703", pg.Code)
	require.Equal(t, initialize.KindFailed, initialize.KindOf(err))
	require.ErrorContains(t, err, `exit status 1: ERROR: column "nothing" does not exist (SQLSTATE 42703)`)
}

func TestCommandTriesAgainForItsLock(t *testing.T) {
	t.Parallel()
	b := bringCommand(t, "sql", "SQL=ALTER TABLE busy ADD COLUMN n int")
	b.Exec(t, "CREATE TABLE busy (id int)")
	end := b.begin(t, "SELECT FROM busy")
	ended := background(t, t.Context(), b.command)
	b.says(t, "(SQLSTATE 55P03): again in ")
	end()
	require.NoError(t, wait(t, ended))
}

func TestCommandSaysWhichIndexItLeftInvalid(t *testing.T) {
	t.Parallel()
	b := bringCommand(t, "sql", "SQL=CREATE UNIQUE INDEX CONCURRENTLY a_id ON a (id)")
	b.Exec(t, "CREATE TABLE a (id int); INSERT INTO a VALUES (1), (1)")
	require.ErrorContains(t, b.command(t.Context()), "DROP INDEX CONCURRENTLY a_id")
}

// TestCommandIsEndedWithAllThatItStarted: also one that does not want to.
func TestCommandIsEndedWithAllThatItStarted(t *testing.T) {
	t.Parallel()
	b := bringCommand(t, "stubborn")
	stop := errors.New("SIGTERM")
	ctx, cancel := context.WithCancelCause(t.Context())
	ended := background(t, ctx, b.command)
	b.says(t, "child ")
	cancel(stop)
	err := wait(t, ended)
	require.ErrorIs(t, err, stop)
	require.Equal(t, initialize.KindTransient, initialize.KindOf(err))
	child, err := strconv.Atoi(regexp.MustCompile(`child (\d+)`).FindStringSubmatch(b.said.String())[1])
	require.NoError(t, err)
	require.Eventually(t, func() bool { return gone(child) }, patience, 10*time.Millisecond)
}

// gone reports whether a process has ended, be it that nobody has asked for its status yet.
func gone(pid int) bool {
	if errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
		return true
	}
	status, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	return err != nil || strings.Contains(string(status), ") Z ")
}

func TestCommandsSessionsAreEndedWithIt(t *testing.T) {
	t.Parallel()
	b := bringCommand(t, "sql", "SQL=SELECT pg_sleep(600)")
	ctx, cancel := context.WithCancel(t.Context())
	ended := background(t, ctx, b.command)
	b.await(t, "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND application_name = $1 AND query = 'SELECT pg_sleep(600)')", initialize.ApplicationName("test"))
	cancel()
	err := wait(t, ended)
	b.nobody(t)
	require.Equal(t, initialize.KindTransient, initialize.KindOf(err))
}

func TestCommandMayPrintWhatItLikes(t *testing.T) {
	t.Parallel()
	b := bringCommand(t, "print", "PRINT=one\r\n"+strings.Repeat("x", 40_000)+"\nno \xff end")
	require.NoError(t, b.command(t.Context()))
	said := b.said.String()
	require.True(t, strings.HasPrefix(said, "one\n"))
	require.Equal(t, 40_000, strings.Count(said, "x"))
	require.True(t, strings.HasSuffix(said, "no ? end\n"))
}

func TestCommandThatIsNotThere(t *testing.T) {
	t.Parallel()
	b := bringCommand(t, "print")
	b.spec.Command = []string{"a-program-of-another-world", "--password=secret"}
	err := b.command(t.Context())
	require.ErrorContains(t, err, "start a-program-of-another-world")
	require.NotContains(t, err.Error(), "=secret")
}

func TestRefusalsAreRead(t *testing.T) {
	t.Parallel()
	for line, code := range map[string]string{
		"psycopg2.errors.LockNotAvailable: canceling statement due to lock timeout":              "55P03",
		"psycopg.errors.DuplicateTable: relation \"a\" already exists":                           "42P07",
		"asyncpg.exceptions.LockNotAvailableError: canceling statement due to lock timeout":      "55P03",
		"asyncpg.exceptions.DeadlockDetectedError: deadlock detected":                            "40P01",
		"2026/01/01 goose: ERROR: relation \"a\" does not exist (SQLSTATE 42P01)":                "42P01",
		"psql:a.sql:3: ERROR:  42P01: relation \"a\" does not exist":                             "42P01",
		"sqlalchemy.exc.ProgrammingError: (psycopg2.errors.DuplicateTable) relation \"a\" there": "",
		"psycopg2.errors.SomethingNew: of which nobody knows":                                    "",
		"it is an error": "",
		"django.db.utils.OperationalError: canceling statement due to lock timeout":           "55P03",
		"ERROR:  canceling statement due to lock timeout":                                     "55P03",
		"(psycopg2.errors.LockNotAvailable) canceling statement due to lock timeout and more": "55P03",
	} {
		err := initialize.RefusalIn("something before", line, "DETAIL:  why", "HINT:  how")
		if code == "" {
			require.NoError(t, err, line)
			continue
		}
		var pg *pgconn.PgError
		require.ErrorAs(t, err, &pg, line)
		require.Equal(t, code, pg.Code, line)
		require.Equal(t, "why", pg.Detail)
		require.Equal(t, "how", pg.Hint)
	}
}

func TestLinkFor(t *testing.T) {
	t.Parallel()
	for conn, want := range map[string][2]string{
		"": {"", ""},
		"postgres://u:p@h:1/d?sslmode=require&application_name=x&pool_max_conns=4": {"postgresql://u:p@h:1/d?sslmode=require", ""},
		"postgresql://u@h/d?options=-c%20search_path%3Da&statement_timeout=3":      {"postgresql://u@h/d", "-c search_path=a"},
		"postgresql+asyncpg://u@h/d":                     {"postgresql+asyncpg://u@h/d", ""},
		"host=h port=1 user=u password='it''s' dbname=d": {"", ""},
		`host=h user=u password='a \'b\' c' dbname=d`:    {"postgresql://u:a%20%27b%27%20c@h/d", ""},
		"host=/var/run port=1 user=u dbname=d":           {"postgresql://u@/d?host=%2Fvar%2Frun&port=1", ""},
		"host=::1 port=1 dbname=d application_name=x":    {"postgresql://[::1]:1/d", ""},
		"host=a,b port=1,2 dbname=d":                     {"postgresql:///d?host=a%2Cb&port=1%2C2", ""},
		"nonsense":                                       {"", ""},
	} {
		url, options, _, err := initialize.LinkFor(conn)
		if want[0] == "" && conn != "" {
			require.Error(t, err, conn)
			require.NotContains(t, err.Error(), conn)
			continue
		}
		require.NoError(t, err, conn)
		require.Equal(t, want, [2]string{url, options}, conn)
	}
}

func TestSecretsAreHidden(t *testing.T) {
	t.Parallel()
	_, _, hide, err := initialize.LinkFor("postgres://app:p%40ss%2Fw0rd@h/d?sslpassword=keykey")
	require.NoError(t, err)
	for line, want := range map[string]string{
		"it is p@ss/w0rd, or p%40ss%2Fw0rd":                "it is ***, or ***",
		"key keykey":                                       "key ***",
		"postgresql+asyncpg://app:other@h/d":               "postgresql+asyncpg://app:***@h/d",
		"host=h password=other user=u":                     "host=h password=*** user=u",
		"host=h password='it is long' user=u":              "host=h password=*** user=u",
		"https://example.org/a:b@c and nothing to hide":    "https://example.org/a:b@c and nothing to hide",
		"File \"/app/a.py\", line 3, in password_of(user)": "File \"/app/a.py\", line 3, in password_of(user)",
	} {
		require.Equal(t, want, hide(line))
	}
}

// FuzzKeywords: what was read can be read from the URL that is made of it, and
// the password is hidden in it.
func FuzzKeywords(f *testing.F) {
	for _, seed := range []string{"host=h port=1", `password='a\'b' user = u`, "a=b=c", "='", `a='\`, "host= dbname=d"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, conn string) {
		values, err := initialize.Keywords(conn)
		if err != nil {
			return
		}
		for name := range values {
			require.NotEmpty(t, name)
		}
		url, _, hide, err := initialize.LinkFor(conn)
		if err != nil || url == "" {
			return
		}
		if password := values["password"]; len(password) >= 8 && values["user"] != "" && !strings.Contains(conn, "://") {
			require.NotContains(t, hide("it is "+password), password)
		}
	})
}

// FuzzOutput: lines are the same in whatever pieces they come, secrets are hidden, and what is read
// from lines is in them.
func FuzzOutput(f *testing.F) {
	const secret = "hunter22"
	f.Add("Running upgrade a -> b, c\npsycopg2.errors.LockNotAvailable: no\r\n[SQL: SELECT 1\n]", 3)
	f.Add("ERROR:  55P03: postgres://u:hunter22@h password='x", 20)
	f.Add("  File \"a.py\", line 99999999999999999999, in x\n\xff\x00", 0)
	f.Fuzz(func(t *testing.T, text string, at int) {
		_, _, hide, err := initialize.LinkFor("postgres://u:" + secret + "@h/d")
		require.NoError(t, err)
		lines := initialize.Lines(text)
		at = max(0, min(at, len(text)))
		if len(text) < 1000 { // longer ones are cut where they come
			require.Equal(t, lines, initialize.Lines(text[:at], text[at:]))
		}
		for _, line := range lines {
			require.NotContains(t, hide(line), secret)
			require.NotContains(t, line, "\n")
			require.NotContains(t, line, "\x00")
			revision, ok := initialize.RevisionOf(line)
			require.True(t, !ok || strings.Contains(line, revision))
		}
		require.Contains(t, strings.Join(lines, "\n"), initialize.StatementIn(lines))
		require.GreaterOrEqual(t, initialize.TracedLine(lines, "a.py"), 0)
		_ = initialize.RefusalIn(lines...)
	})
}
