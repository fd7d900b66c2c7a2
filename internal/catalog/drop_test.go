package catalog_test

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/internal/catalog"
	"github.com/bbmd-dev/bbmd/testing/pgtest"
)

// drop drops in a transaction of its own, which it commits unless there is an error.
func drop(t *testing.T, conn *pgx.Conn, options catalog.DropOptions) (dropped []string, err error) {
	t.Helper()
	err = pgx.BeginFunc(t.Context(), conn, func(tx pgx.Tx) error {
		objects, err := catalog.Drop(t.Context(), tx, options)
		dropped = identities(objects)
		return err
	})
	return dropped, err
}

// keepBBM keeps the control schema.
func keepBBM() catalog.DropOptions { return catalog.DropOptions{Keep: []string{"bbm"}} }

// withEverything returns a database with the control schema and one of each kind of object.
func withEverything(t *testing.T) *pgtest.Database {
	t.Helper()
	db := pgtest.New(t).Superuser(t)
	db.Exec(t, read(t, "everything.sql"))
	return db
}

// publicSchema is all there is to know about schema public.
func publicSchema(t *testing.T, db *pgtest.Database) []string {
	t.Helper()
	return pgtest.Column[string](t, db, `SELECT format('%s %s %s', nspowner::regrole, nspacl, obj_description(oid, 'pg_namespace')) FROM pg_namespace WHERE nspname = 'public'
		UNION ALL SELECT format('%s %s %s %s', defaclrole::regrole, defaclnamespace::regnamespace, defaclobjtype, defaclacl) FROM pg_default_acl ORDER BY 1`)
}

func TestDropDropsEverything(t *testing.T) {
	t.Parallel()
	db := withEverything(t)
	db.Exec(t, `GRANT CREATE ON SCHEMA public TO pg_monitor; COMMENT ON SCHEMA public IS 'ours'; ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO pg_monitor;
		ALTER DEFAULT PRIVILEGES GRANT SELECT ON SEQUENCES TO pg_monitor; SELECT lo_create(0), lo_create(0);
		INSERT INTO bbm.batched_background_migrations (name, job_signature_name, table_name) VALUES ('kept', 'none', 'public.plain')`)
	public := publicSchema(t, db)
	control := take(t, db.Conn(t), catalog.Options{Exclude: []string{"public", "shop", "Odd Schema"}})
	conn := db.Conn(t)

	dropped, err := drop(t, conn, keepBBM())
	require.NoError(t, err)
	require.Subset(t, dropped, []string{"table shop.customer", "large objects (2)", `schema "Odd Schema"`, "server nowhere", "cast (shop.address AS pg_catalog.text)", "view public.one"})
	require.NotContains(t, dropped, "schema bbm")

	require.Empty(t, identities(userObjects(t, conn, catalog.Options{Exclude: []string{"bbm"}})))
	require.Equal(t, public, publicSchema(t, db))
	left := take(t, conn, catalog.Options{})
	require.Empty(t, catalog.Compare(removed(control, "cast", "schema"), removed(left, "cast", "schema")).String())
	require.Equal(t, []string{"bbm", "public"}, pgtest.Column[string](t, db, "SELECT nspname::text FROM pg_namespace WHERE nspname !~ '^pg_|^information_schema$' ORDER BY 1"))
	require.Equal(t, 1, pgtest.One[int](t, db, "SELECT count(*) FROM bbm.batched_background_migrations"))

	// Nothing is in the way of making it all again.
	db.Exec(t, read(t, "everything.sql"))
	again, err := drop(t, conn, keepBBM())
	require.NoError(t, err)
	require.NotEmpty(t, again)
	again, err = drop(t, conn, keepBBM())
	require.NoError(t, err)
	require.Empty(t, again)
}

// removed returns the snapshot without objects of some kinds.
func removed(s catalog.Snapshot, kinds ...string) (rest catalog.Snapshot) {
	for _, o := range s.Objects {
		keep := true
		for _, kind := range kinds {
			keep = keep && o.Kind != kind
		}
		if keep {
			rest.Objects = append(rest.Objects, o)
		}
	}
	return rest
}

func TestDropByAnOwnerWhoIsNoSuperuser(t *testing.T) {
	t.Parallel()
	// Before version 15, and after upgrades from then, public is not the database owner's.
	for name, prepare := range map[string]string{
		"new":      "GRANT USAGE, CREATE ON SCHEMA public TO PUBLIC",
		"upgraded": "ALTER SCHEMA public OWNER TO CURRENT_USER; GRANT ALL ON SCHEMA public TO PUBLIC",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := pgtest.New(t).Superuser(t)
			role := newRole(t, db)
			db.Exec(t, prepare+"; ALTER DATABASE "+db.Name+" OWNER TO "+role+"; CREATE SCHEMA given; GRANT ALL ON SCHEMA given TO "+role)
			extend(t, db)
			conn := as(t, db, role)
			exec(t, conn, `CREATE SCHEMA shop; CREATE TABLE shop.t (id serial PRIMARY KEY); CREATE TABLE p (id int REFERENCES shop.t); CREATE VIEW given.v AS SELECT * FROM p;
				CREATE TYPE mood AS ENUM ('a'); CREATE FUNCTION f(mood) RETURNS mood LANGUAGE sql AS 'SELECT $1'; SELECT lo_create(0); CREATE PUBLICATION pub FOR TABLE p;
				CREATE SCHEMA lent; CREATE TABLE lent.t (id int)`)
			db.Exec(t, "ALTER TABLE lent.t OWNER TO CURRENT_USER; CREATE TABLE shop.theirs (id shop.t); CREATE PUBLICATION theirs FOR ALL TABLES")
			public := publicSchema(t, db)

			dropped, err := drop(t, conn, keepBBM())
			require.NoError(t, err)
			require.Subset(t, dropped, []string{"schema shop", "table shop.theirs", "table lent.t", "publication pub", "view given.v"})
			require.Empty(t, identities(userObjects(t, conn, catalog.Options{Exclude: []string{"bbm"}})))
			require.Equal(t, public, publicSchema(t, db))
			// What is not in a schema, and somebody else's, stays; so does a schema.
			require.Equal(t, []string{"theirs"}, pgtest.Column[string](t, db, "SELECT pubname::text FROM pg_publication"))
			require.Equal(t, 1, pgtest.One[int](t, db, "SELECT count(*) FROM pg_namespace WHERE nspname = 'given'"))
			exec(t, conn, "CREATE SCHEMA shop; CREATE TABLE t (id int)")
		})
	}
}

func TestDropSaysWhatItCannotDrop(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t).Superuser(t)
	role := newRole(t, db)
	me := pgtest.One[string](t, db, "SELECT current_user::text")
	db.Exec(t, `ALTER DATABASE `+db.Name+` OWNER TO `+role+`; CREATE TABLE theirs (id serial PRIMARY KEY); CREATE FUNCTION f(int) RETURNS int LANGUAGE sql AS 'SELECT 1';
		SELECT lo_create(0); CREATE SUBSCRIPTION sub CONNECTION 'dbname=nowhere' PUBLICATION none WITH (connect = false);
		ALTER SCHEMA public OWNER TO CURRENT_USER; GRANT ALL ON SCHEMA public TO PUBLIC`)
	t.Cleanup(func() { db.Exec(background{t}, "ALTER SUBSCRIPTION sub SET (slot_name = NONE); DROP SUBSCRIPTION sub") })
	conn := as(t, db, role)
	exec(t, conn, "CREATE TABLE mine (id int)")

	_, err := drop(t, conn, catalog.DropOptions{Keep: []string{"bbm"}, Extensions: true})
	var refused *catalog.DropError
	require.ErrorAs(t, err, &refused)
	require.Equal(t, role, refused.Role)
	asOther := "owned by " + me + ": drop it as that role or as a superuser"
	inPublic := "owned by " + me + ": go on as that role, as the owner of schema public or as a superuser, or keep the schema"
	require.EqualError(t, err, "role "+role+" cannot drop all that is in the database: subscription sub cannot be dropped in a transaction: drop it first, with DROP SUBSCRIPTION; "+
		"large objects (1) "+asOther+"; function public.f(integer) "+inPublic+"; table public.theirs "+inPublic)
	require.Equal(t, 1, pgtest.One[int](t, db, "SELECT count(*) FROM pg_tables WHERE tablename = 'mine'"))

	db.Exec(t, "DROP TABLE theirs; DROP FUNCTION f; SELECT lo_unlink(oid) FROM pg_largeobject_metadata")
	_, err = drop(t, conn, catalog.DropOptions{Keep: []string{"bbm"}})
	require.EqualError(t, err, "role "+role+" cannot drop all that is in the database: subscription sub cannot be dropped in a transaction: drop it first, with DROP SUBSCRIPTION")
}

func TestDropNamesTheFirstOfMany(t *testing.T) {
	t.Parallel()
	e := &catalog.DropError{Role: "Odd"}
	for range 13 {
		e.Refusals = append(e.Refusals, catalog.Refusal{Object: catalog.Object{Kind: "table", Identity: "t"}, Reason: "is mine"})
	}
	require.ErrorContains(t, e, `role "Odd" cannot drop all that is in the database: table t is mine; table t is mine;`)
	require.ErrorContains(t, e, "table t is mine; and 3 more")
}

func TestDropAndExtensions(t *testing.T) {
	t.Parallel()
	use := `CREATE TABLE uses (a ext_enum DEFAULT 'a', b int DEFAULT ext_function()); CREATE VIEW v AS SELECT * FROM ext_view;
		CREATE TABLE extensions.mine (id int); CREATE TABLE ext_schema.mine (id int)`
	t.Run("kept", func(t *testing.T) {
		t.Parallel()
		db := pgtest.New(t).Superuser(t)
		extend(t, db)
		db.Exec(t, use)
		members := pgtest.Column[string](t, db, "SELECT pg_describe_object(classid, objid, 0) FROM pg_depend WHERE deptype = 'e' ORDER BY 1")
		dropped, err := drop(t, db.Conn(t), keepBBM())
		require.NoError(t, err)
		require.Subset(t, dropped, []string{"table public.uses", "view public.v", "table extensions.mine"})
		require.NotContains(t, dropped, "table public.ext_table")
		require.Equal(t, members, pgtest.Column[string](t, db, "SELECT pg_describe_object(classid, objid, 0) FROM pg_depend WHERE deptype = 'e' ORDER BY 1"))
	})
	t.Run("dropped", func(t *testing.T) {
		t.Parallel()
		db := pgtest.New(t).Superuser(t)
		extend(t, db)
		db.Exec(t, use)
		shipped := pgtest.Column[string](t, db, "SELECT 'extension ' || quote_ident(extname) FROM pg_extension WHERE extname <> 'plpgsql'")
		dropped, err := drop(t, db.Conn(t), catalog.DropOptions{Keep: []string{"bbm"}, Extensions: true})
		require.NoError(t, err)
		require.Subset(t, dropped, append(shipped, "schema extensions"))
		require.Equal(t, []string{"plpgsql"}, pgtest.Column[string](t, db, "SELECT extname::text FROM pg_extension"))
	})
}

func TestDropRefusesToTakeAlongWhatIsKept(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	db.Exec(t, `CREATE TYPE mood AS ENUM ('a'); CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1';
		ALTER TABLE bbm.quarantine ADD mood mood, ADD number int DEFAULT f()`)
	_, err := drop(t, db.Conn(t), keepBBM())
	require.ErrorContains(t, err, "table column bbm.quarantine.mood")
	require.ErrorContains(t, err, "default value for bbm.quarantine.number would go too")
	require.Equal(t, 1, pgtest.One[int](t, db, "SELECT count(*) FROM pg_type WHERE typname = 'mood'"))
}

func TestDropSaysWhatCameUp(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t).Superuser(t)
	db.Exec(t, `CREATE TABLE t (id int); CREATE FUNCTION bbm.again() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN CREATE TABLE IF NOT EXISTS public.again (id int); END';
		CREATE EVENT TRIGGER again ON sql_drop EXECUTE FUNCTION bbm.again()`)
	_, err := drop(t, db.Conn(t), keepBBM())
	require.ErrorContains(t, err, "table public.again came up meanwhile")
}

func TestDropAndEventTriggers(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t).Superuser(t)
	db.Exec(t, `CREATE TABLE t (id int); CREATE FUNCTION never() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'never'; END $$;
		CREATE FUNCTION bbm.whatever() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';
		CREATE EVENT TRIGGER whatever ON ddl_command_end EXECUTE FUNCTION bbm.whatever(); CREATE EVENT TRIGGER never ON sql_drop EXECUTE FUNCTION never()`)
	dropped, err := drop(t, db.Conn(t), keepBBM())
	require.NoError(t, err)
	require.Equal(t, []string{"event trigger never", "function public.never()", "table public.t"}, dropped)
	require.Equal(t, []string{"whatever"}, pgtest.Column[string](t, db, "SELECT evtname::text FROM pg_event_trigger"))
}

func TestDropAndPublications(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t).Superuser(t)
	db.Exec(t, `CREATE TABLE t (id int); CREATE PUBLICATION bbmd_events FOR TABLE bbm.quarantine; CREATE PUBLICATION mine FOR TABLE t;
		CREATE PUBLICATION "All" FOR ALL TABLES; CREATE PUBLICATION nothing`)
	kept := []string{"bbmd_events"}
	if pgtest.One[bool](t, db, "SELECT current_setting('server_version_num')::int >= 150000") {
		db.Exec(t, "CREATE PUBLICATION bbmd_schema FOR TABLES IN SCHEMA bbm; DROP PUBLICATION nothing; CREATE PUBLICATION nothing FOR TABLES IN SCHEMA public")
		kept = append(kept, "bbmd_schema")
	}
	dropped, err := drop(t, db.Conn(t), keepBBM())
	require.NoError(t, err)
	require.Equal(t, []string{`publication "All"`, "publication mine", "publication nothing", "table public.t"}, dropped)
	require.Equal(t, kept, pgtest.Column[string](t, db, "SELECT pubname::text FROM pg_publication ORDER BY 1"))
}

func TestDropMakesSchemaPublicAnew(t *testing.T) {
	t.Parallel()
	fresh, db := pgtest.NewEmpty(t).Superuser(t), pgtest.NewEmpty(t).Superuser(t)
	role := newRole(t, db)
	db.Exec(t, "DROP SCHEMA public; ALTER DATABASE "+db.Name+" OWNER TO "+role)
	conn := as(t, db, role)
	exec(t, conn, `CREATE SCHEMA app; CREATE TABLE app.t (id int)`)
	_, err := drop(t, conn, catalog.DropOptions{})
	require.NoError(t, err)
	exec(t, conn, "CREATE TABLE t (id int)")
	if pgtest.One[bool](t, db, "SELECT current_setting('server_version_num')::int >= 150000") {
		require.Equal(t, publicSchema(t, fresh), publicSchema(t, db))
	}

	// Where the role may not make it, it is left.
	db.Exec(t, "DROP SCHEMA public CASCADE; ALTER DATABASE "+db.Name+" OWNER TO CURRENT_USER; CREATE SCHEMA app AUTHORIZATION "+role)
	_, err = drop(t, conn, catalog.DropOptions{})
	require.NoError(t, err)
	require.Zero(t, pgtest.One[int](t, db, "SELECT count(*) FROM pg_namespace WHERE nspname IN ('public', 'app')"))
}

func TestDropOfManyTables(t *testing.T) {
	t.Parallel()
	db := pgtest.NewEmpty(t)
	db.Exec(t, `DO $$ BEGIN FOR n IN 1..250 LOOP EXECUTE format('CREATE TABLE t%s (id int); CREATE VIEW v%s AS SELECT * FROM t%s', n, n, n); END LOOP; END $$`)
	dropped, err := drop(t, db.Conn(t), catalog.DropOptions{})
	require.NoError(t, err)
	require.Len(t, dropped, 500)
}

func TestDropExplainsWhatHasTooManyLocks(t *testing.T) {
	t.Parallel()
	cause := &pgconn.PgError{Code: "53200", Message: "out of shared memory"}
	err := catalog.ExplainDrop(cause)
	require.ErrorIs(t, err, cause)
	require.ErrorContains(t, err, "raise max_locks_per_transaction")
	require.NotContains(t, catalog.ExplainDrop(&pgconn.PgError{Code: "55P03"}).Error(), "max_locks")
}

// background is a test whose context outlives it, for what cleans up.
type background struct{ testing.TB }

// Context does not end with the test.
func (b background) Context() context.Context { return context.WithoutCancel(b.TB.Context()) }
