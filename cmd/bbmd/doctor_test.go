package main_test

import (
	"net"
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/testing/pgtest"
)

type finding struct{ Database, Check, Status, Detail, Hint string }

// doctor returns the findings by check, and the exit code.
func doctor(t *testing.T, link string, env ...string) (findings map[string]finding, code int) {
	t.Helper()
	r := bbmd(t, append(env, "DATABASE_URL="+link), "doctor", "--output", "json")
	findings = map[string]finding{}
	for _, f := range decode[[]finding](t, r.out) {
		findings[f.Check] = f
	}
	return findings, r.code
}

func TestDoctorFindsNothing(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	findings, code := doctor(t, db.URL)
	require.Equal(t, 0, code)
	require.Len(t, findings, 10)
	for _, f := range findings {
		require.Equal(t, "ok", f.Status, f)
		require.NotEmpty(t, f.Detail)
		require.Empty(t, f.Hint)
	}
	r := bbmd(t, databaseURL(db), "doctor")
	require.Regexp(t, `(?m)^ok    default: events: a notification arrived after `, r.out)
	require.NotContains(t, r.out, "fail")
}

func TestDoctorBeforeTheFirstStart(t *testing.T) {
	t.Parallel()
	db := pgtest.NewEmpty(t)
	findings, code := doctor(t, db.URL)
	require.Equal(t, 0, code)
	require.Equal(t, "warn", findings["control schema"].Status)
	require.Equal(t, "postgres may create the control schema", findings["privileges"].Detail)
	require.False(t, pgtest.One[bool](t, db, "SELECT to_regnamespace('bbm') IS NOT NULL"), "it changes nothing")
}

func TestDoctorOfADatabaseThatIsDown(t *testing.T) {
	t.Parallel()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, listener.Close())
	findings, code := doctor(t, "postgres://app:hunter2@"+listener.Addr().String()+"/db")
	require.Equal(t, 69, code)
	require.Len(t, findings, 2, "nothing else can be asked")
	require.Equal(t, "fail", findings["reachable"].Status)
	require.NotContains(t, findings["reachable"].Detail, "hunter2")
	require.Contains(t, findings["reachable"].Hint, "check that the server runs")
}

func TestDoctorOfAWrongPassword(t *testing.T) {
	t.Parallel()
	parsed, err := url.Parse(pgtest.NewEmpty(t).URL)
	require.NoError(t, err)
	parsed.User = url.UserPassword("postgres", "hunter2")
	findings, code := doctor(t, parsed.String())
	require.Equal(t, 69, code)
	require.Contains(t, findings["reachable"].Hint, "correct the password")
	require.NotContains(t, findings["reachable"].Detail, "hunter2")
}

func TestDoctorOfARoleThatMayNothing(t *testing.T) {
	t.Parallel()
	db := pgtest.NewEmpty(t)
	link := newRole(t, db)
	findings, code := doctor(t, link)
	require.Equal(t, 2, code)
	require.Equal(t, "fail", findings["privileges"].Status)
	require.Contains(t, findings["privileges"].Hint, "GRANT CREATE ON DATABASE")

	require.Equal(t, 0, bbmd(t, databaseURL(db), "init-control").code)
	findings, code = doctor(t, link)
	require.Equal(t, 2, code)
	require.Contains(t, findings["control schema"].Detail, "permission denied")
	require.Contains(t, findings["privileges"].Detail, "USAGE on bbm")
	require.Contains(t, findings["privileges"].Detail, "SELECT, INSERT, UPDATE, DELETE on batched_background_migration_jobs")

	db.Exec(t, "GRANT USAGE ON SCHEMA bbm TO PUBLIC; GRANT ALL ON ALL TABLES IN SCHEMA bbm TO PUBLIC; GRANT ALL ON ALL SEQUENCES IN SCHEMA bbm TO PUBLIC")
	findings, code = doctor(t, link)
	require.Equal(t, 0, code, findings)
}

func TestDoctorOfASchemaThatIsTooNew(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	db.Exec(t, "INSERT INTO bbm.versions (version, oldest_compatible) VALUES (999, 999)")
	findings, code := doctor(t, db.URL)
	require.Equal(t, 2, code)
	require.Equal(t, finding{Database: "default", Check: "control schema", Status: "fail", Detail: findings["control schema"].Detail, Hint: "run a newer bbmd"}, findings["control schema"])
}

// TestDoctorOfTwoDatabasesInOne shows that events are followed from one
// connection string to the other.
func TestDoctorOfTwoDatabasesInOne(t *testing.T) {
	t.Parallel()
	db, other := pgtest.New(t), pgtest.New(t)
	findings, code := doctor(t, db.URL, "BBMD_DATABASES__DEFAULT__LISTEN_URL="+other.URL)
	require.Equal(t, 2, code)
	require.Equal(t, "fail", findings["events"].Status)
	require.Contains(t, findings["events"].Hint, "the same database of the same server")
}

func TestDoctorOfATransactionPooler(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	for _, inTurn := range []bool{true, false} {
		findings, code := doctor(t, newPooler(t, db.URL, inTurn))
		require.Equal(t, 2, code)
		require.Equal(t, "fail", findings["session locks"].Status, findings)
		require.Contains(t, findings["session locks"].Detail, "transaction pooler")
	}
}

// newRole makes a role that may do nothing but connect, and returns the URL for it.
func newRole(t *testing.T, db *pgtest.Database) string {
	t.Helper()
	db.Exec(t, "CREATE ROLE "+db.Name+" LOGIN PASSWORD 'secret'")
	parsed, err := url.Parse(db.URL)
	require.NoError(t, err)
	parsed.User = url.UserPassword(db.Name, "secret")
	return parsed.String()
}
