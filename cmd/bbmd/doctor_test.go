package main_test

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"

	main "github.com/bbmd-dev/bbmd/cmd/bbmd"
	"github.com/bbmd-dev/bbmd/testing/fakepooler"
	"github.com/bbmd-dev/bbmd/testing/pgtest"
)

type finding struct{ Database, Check, Status, Detail, Why, Hint string }

// findings are what the doctor has found, by check.
type findings map[string][]finding

// one returns the only finding of a check.
func (f findings) one(t *testing.T, check string) finding {
	t.Helper()
	require.Len(t, f[check], 1, "%s: %+v", check, f)
	return f[check][0]
}

// details returns what was found by a check.
func (f findings) details(check string) (all []string) {
	for _, one := range f[check] {
		all = append(all, one.Status+" "+one.Detail)
	}
	return all
}

// doctor returns the findings by check, and the exit code.
func doctor(t *testing.T, link string, env ...string) (found findings, code int) {
	t.Helper()
	r := bbmd(t, append(env, "DATABASE_URL="+link), "doctor", "--output", "json")
	found = findings{}
	for _, f := range decode[[]finding](t, r.out) {
		found[f.Check] = append(found[f.Check], f)
		require.Contains(t, []string{"ok", "warn", "fail"}, f.Status)
		require.Equal(t, f.Status == "ok", f.Why == "" && f.Hint == "", "what is wrong says why it matters and what to do: %+v", f)
		require.NotEmpty(t, f.Detail)
	}
	return found, r.code
}

func TestDoctorFindsNothing(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	db.Exec(t, "CREATE TABLE t (id bigint PRIMARY KEY, n int)")
	db.Exec(t, `SELECT bbm.enqueue('execute_sql', 't', '{"sql": "UPDATE t SET n = 1 WHERE :range"}')`)
	found, code := doctor(t, db.URL)
	require.Equal(t, 0, code)
	require.Len(t, found, 20)
	for check := range found {
		if check != "disk" && check != "clock" { // the machine's
			require.Equal(t, "ok", found.one(t, check).Status, found[check])
		}
	}
	require.Equal(t, "direct", found.one(t, "connection").Detail)
	require.Equal(t, "none is listening", found.one(t, "replicas").Detail)
	require.Equal(t, "of open migrations: 1", found.one(t, "tables").Detail)
	require.Equal(t, "open: 1", found.one(t, "migrations").Detail)
	require.Contains(t, found.one(t, "time-outs").Detail, "lock_timeout 5s")
	r := bbmd(t, databaseURL(db), "doctor")
	require.Regexp(t, `(?m)^ok    default: events: a notification arrived after `, r.out)
	require.NotContains(t, r.out, "fail")
}

func TestDoctorBeforeTheFirstStart(t *testing.T) {
	t.Parallel()
	db := pgtest.NewEmpty(t)
	found, code := doctor(t, db.URL)
	require.Equal(t, 0, code)
	require.Equal(t, "warn", found.one(t, "control schema").Status)
	require.Equal(t, pgtest.Owner+" may create the control schema", found.one(t, "privileges").Detail)
	require.False(t, pgtest.One[bool](t, db, "SELECT to_regnamespace('bbm') IS NOT NULL"), "it changes nothing")
}

func TestDoctorOfADatabaseThatIsDown(t *testing.T) {
	t.Parallel()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, listener.Close())
	found, code := doctor(t, "postgres://app:hunter2@"+listener.Addr().String()+"/db")
	require.Equal(t, 69, code)
	require.Len(t, found, 3, "configuration and works; nothing else of the database can be asked")
	require.Equal(t, "fail", found.one(t, "reachable").Status)
	require.NotContains(t, found.one(t, "reachable").Detail, "hunter2")
	require.Contains(t, found.one(t, "reachable").Hint, "check that the server runs")
}

func TestDoctorOfAWrongPassword(t *testing.T) {
	t.Parallel()
	parsed, err := url.Parse(pgtest.NewEmpty(t).URL)
	require.NoError(t, err)
	parsed.User = url.UserPassword("postgres", "hunter2")
	found, code := doctor(t, parsed.String())
	require.Equal(t, 69, code)
	require.Contains(t, found.one(t, "reachable").Hint, "correct the password")
	require.NotContains(t, found.one(t, "reachable").Detail, "hunter2")
}

// TestConnectionsThatFailSayTheWayOut has the mistakes in a connection string that one makes, in any command.
func TestConnectionsThatFailSayTheWayOut(t *testing.T) {
	t.Parallel()
	db := pgtest.NewEmpty(t)
	for name, c := range map[string]struct {
		change func(*url.URL)
		says   string
	}{
		"password":  {func(u *url.URL) { u.User = url.UserPassword("postgres", "hunter2") }, "password authentication failed .*; correct the password"},
		"database":  {func(u *url.URL) { u.Path = "/absent" }, `database "absent" does not exist .*; create the database, or correct its name`},
		"port":      {func(u *url.URL) { u.Host = "127.0.0.1:1" }, "connection refused; check that the server runs"},
		"encrypted": {func(u *url.URL) { u.RawQuery = "sslmode=require" }, "server refused TLS connection; let the server have TLS, or say sslmode=disable"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			parsed, err := url.Parse(db.URL)
			require.NoError(t, err)
			c.change(parsed)
			r := bbmd(t, []string{"DATABASE_URL=" + parsed.String()}, "status")
			require.Equal(t, 69, r.code)
			require.Regexp(t, "^bbmd: database default: .*"+c.says+".*\n$", r.err)
			require.NotContains(t, r.err, "hunter2")
		})
	}
}

func TestWhatOneDoesAboutANetwork(t *testing.T) {
	t.Parallel()
	require.Contains(t, main.ConnectHint(fmt.Errorf("connect: %w", &net.DNSError{Err: "no such host", Name: "db", IsNotFound: true})), "correct the host's name")
	require.Contains(t, main.ConnectHint(fmt.Errorf("connect: %w", x509.UnknownAuthorityError{})), "sslrootcert")
	require.Contains(t, main.ConnectHint(errors.New("connection reset by peer")), "check that the server runs")
}

func TestDoctorOfARoleThatMayNothing(t *testing.T) {
	t.Parallel()
	db := pgtest.NewEmpty(t)
	link := newRole(t, db)
	found, code := doctor(t, link)
	require.Equal(t, 2, code)
	require.Equal(t, "fail", found.one(t, "privileges").Status)
	require.Contains(t, found.one(t, "privileges").Hint, "GRANT CREATE ON DATABASE")

	require.Equal(t, 0, bbmd(t, databaseURL(db), "init-control").code)
	found, code = doctor(t, link)
	require.Equal(t, 2, code)
	require.Equal(t, "fail", found.one(t, "control schema").Status)
	require.Contains(t, found.one(t, "control schema").Detail, "this role may not look into bbm")
	require.Contains(t, found.one(t, "migrations").Detail, "not looked at")
	require.Regexp(t, "permission denied for schema bbm .*; `bbmd doctor` says which rights this role misses", bbmd(t, []string{"DATABASE_URL=" + link}, "status").err)
	require.Contains(t, found.one(t, "privileges").Detail, "USAGE on bbm")
	require.Contains(t, found.one(t, "privileges").Detail, "SELECT, INSERT, UPDATE on batched_background_migration_jobs")

	require.Contains(t, found.one(t, "privileges").Hint, "bbmd init-control --worker "+db.Name)

	// The owner's default privileges, which let the tests' worker write every table, hold here, too.
	require.Equal(t, 0, bbmd(t, databaseURL(db), "init-control", "--worker", db.Name).code)
	found, code = doctor(t, link)
	require.Equal(t, 0, code, found)
	require.Equal(t, "warn", found.one(t, "privileges").Status)
	require.Contains(t, found.one(t, "privileges").Detail, "can be written by "+pgtest.Worker)

	require.Equal(t, 0, bbmd(t, databaseURL(db), "init-control", "--revoke", pgtest.Worker).code)
	found, _ = doctor(t, link)
	require.Equal(t, "ok", found.one(t, "privileges").Status, found)
}

func TestInitControlGrantsRoles(t *testing.T) {
	t.Parallel()
	db := pgtest.NewEmpty(t)
	granted := bbmd(t, databaseURL(db), "init-control", "--worker", pgtest.Worker, "--enqueuer", pgtest.Enqueuer+"=bump, copy_column", "--reader", pgtest.Reader)
	require.Equal(t, 0, granted.code, granted.err)
	require.Contains(t, granted.out, "role "+pgtest.Enqueuer+" is an enqueuer of bump, copy_column")
	require.Equal(t, []string{"enqueuer {bump,copy_column}", "reader {}", "worker {}"}, pgtest.Column[string](t, db, "SELECT kind || ' ' || works::text FROM bbm.roles ORDER BY kind"))
	require.Equal(t, 0, bbmd(t, databaseURL(db.As(t, pgtest.Reader)), "status").code)

	refused := bbmd(t, databaseURL(db.As(t, pgtest.Enqueuer)), "enqueue", "execute_sql", "bbm.settings", "--set", "sql=SELECT 1 FROM bbm.settings WHERE :range")
	require.Equal(t, 73, refused.code, refused.err)
	require.Contains(t, refused.err, `may not enqueue the Work "execute_sql"`)

	require.Equal(t, 0, bbmd(t, databaseURL(db), "init-control", "--revoke", pgtest.Reader).code)
	require.NotEqual(t, 0, bbmd(t, databaseURL(db.As(t, pgtest.Reader)), "status").code)
	require.Equal(t, 2, bbmd(t, databaseURL(db), "init-control", "--reader", "x", "--worker", "x").code)
	require.Contains(t, bbmd(t, nil, "init-control", "--print", "--worker", "x").out, "SELECT bbm.grant_role('x', 'worker'")
}

func TestDoctorOfASchemaThatIsTooNew(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	db.Exec(t, "INSERT INTO bbm.versions (version, oldest_compatible) VALUES (999, 999)")
	found, code := doctor(t, db.URL)
	require.Equal(t, 2, code)
	require.Equal(t, finding{Database: "default", Check: "control schema", Status: "fail", Detail: found.one(t, "control schema").Detail, Why: found.one(t, "control schema").Why, Hint: "run a newer bbmd"}, found.one(t, "control schema"))
}

// TestDoctorOfTwoDatabasesInOne shows that events are followed from one
// connection string to the other.
func TestDoctorOfTwoDatabasesInOne(t *testing.T) {
	t.Parallel()
	db, other := pgtest.New(t), pgtest.New(t)
	found, code := doctor(t, db.URL, "BBMD_DATABASES__DEFAULT__LISTEN_URL="+other.URL)
	require.Equal(t, 2, code)
	require.Equal(t, "fail", found.one(t, "events").Status)
	require.Contains(t, found.one(t, "events").Hint, "the same database of the same server")
}

func TestDoctorOfATransactionPooler(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	for _, mode := range []fakepooler.Mode{fakepooler.InTurn, fakepooler.LastUsed} {
		found, code := doctor(t, fakepooler.Start(t, db.URL, mode))
		require.Equal(t, 2, code)
		require.Equal(t, "fail", found.one(t, "session locks").Status, found)
		require.Contains(t, found.one(t, "session locks").Detail, "transaction pooler")
	}
}

// newRole makes a role that may do nothing but connect, and returns the URL for it.
func newRole(t *testing.T, db *pgtest.Database) string {
	t.Helper()
	db.Superuser(t).Exec(t, "CREATE ROLE "+db.Name+" LOGIN PASSWORD 'secret'")
	parsed, err := url.Parse(db.URL)
	require.NoError(t, err)
	parsed.User = url.UserPassword(db.Name, "secret")
	return parsed.String()
}
