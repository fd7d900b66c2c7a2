package control_test

import (
	"context"
	"fmt"
	"maps"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/internal/control"
	"github.com/bbmd-dev/bbmd/testing/pgtest"
)

const (
	deniedBy  = "42501"
	migration = "bbm.batched_background_migrations"
	jobs      = "bbm.batched_background_migration_jobs"
)

// attempt runs sql as a role, and returns what PostgreSQL says to it.
func attempt(t *testing.T, db *pgtest.Database, role, sql string) error {
	t.Helper()
	_, err := db.As(t, role).Conn(t).Exec(t.Context(), sql)
	return err
}

// withMigration returns a database with a table of the owner's and a migration m of it.
func withMigration(t *testing.T) *pgtest.Database {
	t.Helper()
	db := pgtest.New(t)
	db.Exec(t, "CREATE TABLE t (id bigint PRIMARY KEY, n int); SELECT bbm.enqueue('bump', 't', name => 'm')")
	return db
}

// writes are all ways to write the control schema's tables and to change the schema itself.
func writes() map[string]string {
	all := map[string]string{
		"enqueue":      "INSERT INTO " + migration + " (name, job_signature_name, table_name) VALUES ('x', 'bump', 'public.t')",
		"steer":        "UPDATE " + migration + " SET status = 'paused'",
		"claim":        "INSERT INTO " + jobs + " (batched_background_migration_id, max_value, batch_size, owner) VALUES (1, '1', 1, 1)",
		"finish":       "UPDATE " + jobs + " SET status = 'finished', owner = NULL",
		"take epochs":  "SELECT nextval('bbm.owner_epoch')",
		"count":        "UPDATE bbm.counters SET keys = 0",
		"drop counts":  "DELETE FROM bbm.counters",
		"set aside":    "INSERT INTO bbm.quarantine (batched_background_migration_id, batched_background_migration_job_id, key, attempts) VALUES (1, 1, 'k', 1)",
		"tell changes": "INSERT INTO bbm.changes (batched_background_migration_id, name, what) VALUES (1, 'm', 'finalize')",
	}
	maps.Copy(all, ownersAlone())
	return all
}

// ownersAlone are those that a worker may not, either: whatever runs in a batch can be the worker, and cannot cover its tracks.
func ownersAlone() map[string]string {
	return map[string]string{
		"delete a migration":   "DELETE FROM " + migration,
		"delete jobs":          "DELETE FROM " + jobs,
		"forge a transition":   "INSERT INTO bbm.transitions (batched_background_migration_id, name, to_status) VALUES (1, 'm', 'active')",
		"rewrite a transition": "UPDATE bbm.transitions SET who = 'somebody else'",
		"delete transitions":   "DELETE FROM bbm.transitions",
		"forge who changed":    "INSERT INTO bbm.changes (batched_background_migration_id, name, what, who) VALUES (1, 'm', 'finalize', 'somebody else')",
		"rewrite changes":      "UPDATE bbm.changes SET what = 'x'",
		"empty the quarantine": "DELETE FROM bbm.quarantine",
		"mark as production":   "SELECT bbm.mark_production()",
		"unmark":               "DELETE FROM bbm.settings",
		"checksums":            "DELETE FROM bbm.applied",
		"runs":                 "UPDATE bbm.runs SET outcome = 'finished'",
		"tokens":               "INSERT INTO bbm.force_recreate_tokens (token, host) VALUES ('t', 'h')",
		"versions":             "INSERT INTO bbm.versions (version, oldest_compatible) VALUES (1000, 1000)",
		"roles":                "UPDATE bbm.roles SET works = '{*}'",
		"grant":                "SELECT bbm.grant_role('" + pgtest.Enqueuer + "', 'worker')",
		"revoke":               "SELECT bbm.revoke_role('" + pgtest.Reader + "')",
		"any status":           "SELECT bbm.set_status('m', 'finished', '', '{}')",
		"create":               "CREATE TABLE bbm.mine ()",
		"alter":                "ALTER TABLE " + migration + " DISABLE TRIGGER ALL",
		"replace a function":   "CREATE OR REPLACE FUNCTION bbm.notify_change() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'",
		"drop":                 "DROP SCHEMA bbm CASCADE",
		"truncate":             "TRUNCATE " + jobs,
		"be the owner":         "SET ROLE " + pgtest.Owner,
		"be a superuser":       "SET SESSION AUTHORIZATION postgres",
		"make roles":           "CREATE ROLE mine",
	}
}

func TestWhatRolesMayNot(t *testing.T) {
	t.Parallel()
	for role, forbidden := range map[string]map[string]string{
		pgtest.Nobody: writes(), pgtest.Reader: writes(), pgtest.Enqueuer: writes(), pgtest.Worker: ownersAlone(),
	} {
		t.Run(role, func(t *testing.T) {
			t.Parallel()
			db := withMigration(t)
			conn := db.As(t, role).Conn(t)
			for name, sql := range forbidden {
				_, err := conn.Exec(t.Context(), sql)
				require.ErrorContains(t, err, deniedBy, "%s: %s", name, sql)
			}
			require.Equal(t, []string{"active"}, pgtest.Column[string](t, db, "SELECT status FROM "+migration))
		})
	}
}

func TestEverybodyHasNothing(t *testing.T) {
	t.Parallel()
	db := withMigration(t)
	for _, sql := range []string{
		"SELECT 1 FROM bbm.progress", "SELECT 1 FROM " + migration, "SELECT bbm.enqueue('bump', 't')", "SELECT bbm.pause('m')", "SELECT bbm.table_named('t')",
	} {
		require.ErrorContains(t, attempt(t, db, pgtest.Nobody, sql), deniedBy, sql)
	}
	require.Empty(t, pgtest.Column[string](t, db, `
		SELECT p.oid::regprocedure::text FROM pg_proc p WHERE p.pronamespace = 'bbm'::regnamespace AND has_function_privilege('`+pgtest.Nobody+`', p.oid, 'EXECUTE')
		UNION ALL
		SELECT c.oid::regclass::text FROM pg_class c WHERE c.relnamespace = 'bbm'::regnamespace AND c.relkind IN ('r', 'v')
			AND has_any_column_privilege('`+pgtest.Nobody+`', c.oid, 'SELECT, INSERT, UPDATE, REFERENCES')`))
}

// Whoever runs as the schema's owner looks names up where nobody else can put any.
func TestFunctionsOfTheOwnerPinTheirSearchPath(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	require.Empty(t, pgtest.Column[string](t, db, `SELECT oid::regprocedure::text FROM pg_proc
		WHERE pronamespace = 'bbm'::regnamespace AND prosecdef AND NOT coalesce(proconfig @> '{"search_path=pg_catalog, pg_temp"}', false)`))
	require.NotZero(t, pgtest.One[int](t, db, "SELECT count(*) FROM pg_proc WHERE pronamespace = 'bbm'::regnamespace AND prosecdef"))
}

func TestReaderSees(t *testing.T) {
	t.Parallel()
	db := withMigration(t)
	conn := db.As(t, pgtest.Reader).Conn(t)
	all, err := control.Store{}.Progress(t.Context(), conn, control.Selection{})
	require.NoError(t, err)
	require.Len(t, all, 1)
	_, err = control.Store{}.Detail(t.Context(), conn, "m")
	require.NoError(t, err)
}

func TestEnqueuerSteersAndEnqueuesWhatItMay(t *testing.T) {
	t.Parallel()
	db := withMigration(t)
	db.Exec(t, "GRANT SELECT, UPDATE (n) ON t TO "+pgtest.Enqueuer+"; CREATE TABLE secret (id bigint PRIMARY KEY)")
	conn := db.As(t, pgtest.Enqueuer).Conn(t)
	store := control.Store{}
	for _, command := range []control.Command{control.Pause, control.Resume, control.Cancel} {
		_, _, err := store.Do(t.Context(), conn, command, "m", "")
		require.NoError(t, err, command)
	}
	name, err := store.Enqueue(t.Context(), conn, control.Request{Work: pgtest.EnqueuerMay, Table: "t"})
	require.NoError(t, err)
	require.Equal(t, "bump_t", name)
	require.Equal(t, []string{pgtest.Owner, pgtest.Enqueuer, pgtest.Enqueuer, pgtest.Enqueuer, pgtest.Enqueuer},
		pgtest.Column[string](t, db, "SELECT who FROM bbm.transitions ORDER BY id"), "the audit tells the login, not whose function it was")

	for sql, want := range map[string]string{
		"SELECT bbm.enqueue('execute_sql', 't', '{}')":                   `role "bbmd_enqueuer" may not enqueue the Work "execute_sql"`,
		"SELECT bbm.enqueue(NULL, 't')":                                  `may not enqueue the Work`,
		"SELECT bbm.enqueue('bump', 'secret', name => 's')":              `role "bbmd_enqueuer" may not write to table public.secret`,
		"SELECT bbm.enqueue('bump', 't', name => 'u', throttle => '{}')": "throttle of its own",
		"SELECT bbm.enqueue('bump', 'bbm.settings', name => 's')":        "may not write to table bbm.settings",
		"SELECT bbm.enqueue_on('bump', 'secret', '{}', 'x', '', 1, 1, 1, '{}', 1, '', '', false, 1, 1, '0', '0', 0, 'keyset', NULL)":   "may not write to table public.secret",
		"SELECT bbm.enqueue_on('bump', NULL, '{}', 'x', NULL, 1, 1, 1, '{}', 1, NULL, NULL, false, 1, 1, '0', '0', 0, 'keyset', NULL)": "may not write to table",
	} {
		_, err := conn.Exec(t.Context(), sql)
		require.ErrorContains(t, err, want, sql)
		require.ErrorContains(t, err, deniedBy, sql)
	}
	_, err = store.Enqueue(t.Context(), conn, control.Request{Work: "execute_sql", Table: "t"})
	refused := new(control.RefusalError)
	require.ErrorAs(t, err, &refused)
	require.Equal(t, control.RefusedRight, refused.SQLState)
}

// A role that is a member of an enqueuer may as much, as itself or as the enqueuer.
func TestMembersOfAnEnqueuer(t *testing.T) {
	t.Parallel()
	db := withMigration(t)
	role := "clerk_" + pgtest.One[string](t, db, "SELECT md5(current_database())")
	db.Superuser(t).Exec(t, fmt.Sprintf("CREATE ROLE %s LOGIN IN ROLE %s; GRANT UPDATE ON t TO %[2]s", role, pgtest.Enqueuer))
	t.Cleanup(func() { db.Superuser(t).Exec(outlive{t}, "DROP ROLE "+role) })
	conn := db.Superuser(t).Conn(t)
	for name, as := range map[string]string{"itself": "RESET ROLE", "the enqueuer": "SET ROLE " + pgtest.Enqueuer} {
		_, err := conn.Exec(t.Context(), "SET SESSION AUTHORIZATION "+role+"; "+as)
		require.NoError(t, err)
		_, err = conn.Exec(t.Context(), "SELECT bbm.enqueue('bump', 't', name => $1)", name)
		require.NoError(t, err, name)
		_, err = conn.Exec(t.Context(), "SELECT bbm.enqueue('execute_sql', 't', name => 'no')")
		require.ErrorContains(t, err, deniedBy, name)
	}
	_, err := conn.Exec(t.Context(), "RESET ROLE; RESET SESSION AUTHORIZATION")
	require.NoError(t, err)
}

// What runs as the owner does not see what its caller has put on the search_path or among the temporary objects.
func TestFunctionsAreNotMisled(t *testing.T) {
	t.Parallel()
	db := withMigration(t)
	db.Exec(t, "GRANT UPDATE ON t TO "+pgtest.Enqueuer+"; CREATE SCHEMA theirs; GRANT ALL ON SCHEMA theirs TO "+pgtest.Enqueuer)
	conn := db.As(t, pgtest.Enqueuer).Conn(t)
	const trap = ` RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN
		IF current_user <> session_user THEN RAISE EXCEPTION 'caught as %', current_user; END IF; RETURN true; END $$`
	for _, sql := range []string{
		"CREATE FUNCTION theirs.has_table_privilege(name, text, text)" + trap, "CREATE FUNCTION theirs.pg_has_role(name, oid, text)" + trap,
		"CREATE FUNCTION theirs.same(text, text)" + trap, "CREATE OPERATOR theirs.= (LEFTARG = text, RIGHTARG = text, FUNCTION = theirs.same)",
		"CREATE TEMP TABLE pg_class (relname text)", "SET search_path = theirs, pg_temp, pg_catalog, public",
	} {
		_, err := conn.Exec(t.Context(), sql)
		require.NoError(t, err, sql)
	}
	for _, sql := range []string{"SELECT bbm.enqueue('bump', 'public.t', name => 'n')", "SELECT bbm.pause('n')", "SELECT bbm.resume('n')", "SELECT bbm.cancel('n')"} {
		_, err := conn.Exec(t.Context(), sql)
		require.NoError(t, err, sql)
	}
}

func TestGrantReplacesAndRevokes(t *testing.T) {
	t.Parallel()
	db := withMigration(t)
	store, conn := control.Store{}, db.Conn(t)
	db.Exec(t, "GRANT UPDATE ON t TO "+pgtest.Reader)
	may := func(role, sql string) bool { return attempt(t, db, role, sql) == nil }
	const pause, see = "SELECT bbm.pause('m')", "SELECT count(*) FROM bbm.progress"
	require.False(t, may(pgtest.Reader, pause))
	require.NoError(t, store.Grant(t.Context(), conn, control.Role{Name: pgtest.Reader, Kind: control.KindEnqueuer, Works: []string{control.AllWorks}}))
	require.True(t, may(pgtest.Reader, pause))
	require.True(t, may(pgtest.Reader, "SELECT bbm.enqueue('whatever', 't', name => 'w', throttle => '{}')"))
	require.NoError(t, store.Grant(t.Context(), conn, control.Role{Name: pgtest.Reader, Kind: control.KindReader}))
	require.False(t, may(pgtest.Reader, pause))
	require.True(t, may(pgtest.Reader, see))
	require.NoError(t, store.Grant(t.Context(), conn, control.Role{Name: pgtest.Reader}))
	require.False(t, may(pgtest.Reader, see))

	for _, wrong := range []struct {
		role control.Role
		want string
	}{
		{control.Role{Name: pgtest.Owner, Kind: control.KindReader}, "owns this schema"},
		{control.Role{Name: "public", Kind: control.KindReader}, "public is everybody"},
		{control.Role{Name: pgtest.Reader, Kind: "king"}, "kind has to be known"},
		{control.Role{Name: pgtest.Reader, Kind: control.KindWorker, Works: []string{"bump"}}, "allowed to an enqueuer"},
		{control.Role{Name: "nobody at all", Kind: control.KindReader}, "does not exist"},
	} {
		require.ErrorContains(t, store.Grant(t.Context(), conn, wrong.role), wrong.want)
	}
	require.ErrorContains(t, attempt(t, db, pgtest.Worker, "SELECT bbm.grant_role('bbmd_reader', 'worker')"), deniedBy)
}

// TestUpgradeKeepsWhatOthersMay upgrades a schema in which roles have rights that somebody granted by hand, and grants of
// bbm.grant_role.
func TestUpgradeKeepsWhatOthersMay(t *testing.T) {
	t.Parallel()
	db := pgtest.NewEmpty(t)
	conn := db.Conn(t)
	require.NoError(t, control.InstallUpTo(t.Context(), conn, 4))
	db.Exec(t, fmt.Sprintf(`CREATE TABLE t (id bigint PRIMARY KEY); GRANT USAGE ON SCHEMA bbm TO %[1]s, %[2]s;
		GRANT SELECT, INSERT ON %[3]s TO %[1]s; GRANT INSERT ON bbm.transitions TO %[1]s; GRANT SELECT, UPDATE ON %[3]s TO %[2]s`, pgtest.Enqueuer, pgtest.Reader, migration))
	require.NoError(t, attempt(t, db, pgtest.Enqueuer, "SELECT bbm.enqueue('w', 'public.t', name => 'before')"))
	require.NoError(t, control.Install(t.Context(), conn, ""))
	require.NoError(t, attempt(t, db, pgtest.Enqueuer, "SELECT bbm.enqueue('w', 'public.t', name => 'after')"))
	require.ErrorContains(t, attempt(t, db, pgtest.Enqueuer, "SELECT bbm.pause('after')"), deniedBy)
	require.NoError(t, attempt(t, db, pgtest.Reader, "SELECT bbm.pause('after')"))
	require.ErrorContains(t, attempt(t, db, pgtest.Reader, "SELECT bbm.enqueue('w', 'public.t', name => 'no')"), deniedBy)

	// What is new in an upgrade is granted to those who are known, and to nobody else.
	db.Exec(t, "SELECT bbm.grant_role('"+pgtest.Reader+"', 'reader'); CREATE TABLE bbm.novelty (); CREATE FUNCTION bbm.novel() RETURNS int LANGUAGE sql AS 'SELECT 1'")
	require.ErrorContains(t, attempt(t, db, pgtest.Reader, "SELECT 1 FROM bbm.novelty"), deniedBy)
	require.NoError(t, attempt(t, db, pgtest.Reader, "SELECT bbm.novel()"), "as PostgreSQL would have it")
	require.NoError(t, control.Secure(t.Context(), conn))
	require.NoError(t, attempt(t, db, pgtest.Reader, "SELECT 1 FROM bbm.novelty"))
	require.ErrorContains(t, attempt(t, db, pgtest.Reader, "SELECT bbm.novel()"), deniedBy)
}

// outlive is a test whose context outlives it, for cleaning up.
type outlive struct{ *testing.T }

func (o outlive) Context() context.Context { return context.WithoutCancel(o.T.Context()) }

func TestScriptGrants(t *testing.T) {
	t.Parallel()
	db := pgtest.NewEmpty(t)
	script, err := control.Script("", control.Role{Name: pgtest.Enqueuer, Kind: control.KindEnqueuer, Works: []string{"it's", `a\b`}}, control.Role{Name: pgtest.Reader})
	require.NoError(t, err)
	_, err = db.Conn(t).Exec(t.Context(), script, pgx.QueryExecModeSimpleProtocol)
	require.NoError(t, err)
	require.Equal(t, []string{"it's", `a\b`}, pgtest.One[[]string](t, db, "SELECT works FROM bbm.roles"))
}
