package catalog_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/internal/catalog"
	"github.com/bbmd-dev/bbmd/testing/pgtest"
)

func TestEverythingIsInTheSnapshot(t *testing.T) {
	t.Parallel()
	var text strings.Builder
	for _, o := range take(t, everything(t).Conn(t), catalog.Options{}).Objects {
		text.WriteString(o.Kind + " " + o.Schema + " " + o.Name + "\n")
		for _, p := range o.Parts {
			text.WriteString("  " + p.Kind + " " + p.Name + "\n")
		}
	}
	golden(t, "everything.txt", text.String())
}

func TestSnapshotAsJSON(t *testing.T) {
	t.Parallel()
	db := pgtest.NewEmpty(t)
	db.Exec(t, read(t, "small.sql"))
	snapshot := take(t, db.Conn(t), catalog.Options{})

	text, err := json.MarshalIndent(snapshot, "", "  ")
	require.NoError(t, err)
	golden(t, "small.json", string(text)+"\n")

	var back catalog.Snapshot
	require.NoError(t, json.Unmarshal(text, &back))
	require.Empty(t, cmp.Diff(snapshot, back))
	require.Empty(t, catalog.Compare(snapshot, back).String())
}

func TestEmptyDatabaseHasNothing(t *testing.T) {
	t.Parallel()
	text, err := json.Marshal(take(t, pgtest.NewEmpty(t).Conn(t), catalog.Options{}))
	require.NoError(t, err)
	require.JSONEq(t, `{"objects":[{"kind":"extension","name":"plpgsql","properties":{"schema":"pg_catalog"}}]}`, string(text))
}

func TestSnapshotsDoNotDependOnTheSession(t *testing.T) {
	t.Parallel()
	db := everything(t)
	want := take(t, db.Conn(t), catalog.Options{})
	conn := db.Conn(t)
	exec(t, conn, `SET search_path = shop, "Odd Schema"; SET quote_all_identifiers = on; SET datestyle = 'German, DMY'; SET timezone = 'Asia/Kolkata';
		CREATE TEMP TABLE pg_class (oid oid); CREATE TEMP TABLE customer (id int)`)
	require.Empty(t, cmp.Diff(want, take(t, conn, catalog.Options{})))

	// In a transaction, what is set for the reading does not last.
	tx, err := conn.Begin(t.Context())
	require.NoError(t, err)
	defer tx.Rollback(t.Context()) //nolint:errcheck // nothing to keep
	require.Empty(t, cmp.Diff(want, take(t, tx, catalog.Options{})))
	var path string
	require.NoError(t, tx.QueryRow(t.Context(), "SHOW search_path").Scan(&path))
	require.Equal(t, `shop, "Odd Schema"`, path)
	exec(t, tx, "CREATE TABLE still_writes (id int)")

	require.Empty(t, cmp.Diff(want, take(t, db.Pool(t), catalog.Options{})))
}

func TestSnapshotsDoNotDependOnTheOrderOfMaking(t *testing.T) {
	t.Parallel()
	one, other := pgtest.NewEmpty(t), pgtest.NewEmpty(t)
	one.Exec(t, "CREATE TABLE a (id int PRIMARY KEY, b text, c int NOT NULL DEFAULT 1, CHECK (c > 0), UNIQUE (b)); CREATE INDEX i ON a (c); CREATE TABLE z (id int REFERENCES a)")
	other.Exec(t, "CREATE TABLE z (id int); CREATE TABLE a (gone int, c int, id int)")
	other.Exec(t, "ALTER TABLE a DROP gone, ADD b text; CREATE INDEX i ON a (c); ALTER TABLE a ADD CHECK (c > 0), ALTER c SET DEFAULT 1, ALTER c SET NOT NULL")
	other.Exec(t, "ALTER TABLE a ADD UNIQUE (b), ADD PRIMARY KEY (id); ALTER TABLE z ADD FOREIGN KEY (id) REFERENCES a")
	require.Empty(t, cmp.Diff(take(t, one.Conn(t), catalog.Options{}), take(t, other.Conn(t), catalog.Options{})))
}

func TestSnapshotLeavesOutWhatItIsTold(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t) // has the control schema
	db.Exec(t, `CREATE TABLE goose_db_version (id serial PRIMARY KEY, version_id bigint);
		CREATE SCHEMA tools; CREATE TABLE tools."Versions" (id int GENERATED ALWAYS AS IDENTITY); CREATE TABLE kept (id int)`)
	snapshot := take(t, db.Conn(t), catalog.Options{
		Exclude: []string{"bbm"}, VersionTables: []catalog.Name{{"public", "goose_db_version"}, {"tools", "Versions"}},
	})
	var names []string
	for _, o := range snapshot.Objects {
		names = append(names, o.Kind+" "+o.Name)
	}
	require.Equal(t, []string{"extension plpgsql", "schema tools", "table kept"}, names)
}

func TestSnapshotLeavesOutExtensions(t *testing.T) {
	t.Parallel()
	db := pgtest.NewEmpty(t).Superuser(t)
	db.Exec(t, "CREATE TABLE mine (id int)")
	want := take(t, db.Conn(t), catalog.Options{})
	extend(t, db)
	require.Empty(t, catalog.Compare(want, take(t, db.Conn(t), catalog.Options{})).String())

	// Who declares an extension misses it, wherever its objects are.
	have := catalog.Compare(take(t, db.Conn(t), catalog.Options{}), want)
	for _, o := range have.Objects {
		require.Contains(t, []string{"extension", "schema"}, o.Kind)
		require.Equal(t, catalog.Missing, o.Change)
	}
	require.NotEmpty(t, have.Objects)
}

// extend gives the database extensions with members of many kinds: plpgsql,
// which every server has, adopts some, in public and in a schema of its own, and
// what the server ships is installed, in public, in a schema made for it, and in one of its own.
func extend(t *testing.T, db *pgtest.Database) {
	t.Helper()
	db.Exec(t, `CREATE TABLE ext_table (id serial PRIMARY KEY, note text); CREATE VIEW ext_view AS SELECT * FROM ext_table;
		CREATE TYPE ext_enum AS ENUM ('a'); CREATE FUNCTION ext_function() RETURNS int LANGUAGE sql AS 'SELECT 1';
		CREATE SCHEMA ext_schema; CREATE TABLE ext_schema.chunk (id int);
		ALTER EXTENSION plpgsql ADD TABLE ext_table; ALTER EXTENSION plpgsql ADD SEQUENCE ext_table_id_seq; ALTER EXTENSION plpgsql ADD VIEW ext_view;
		ALTER EXTENSION plpgsql ADD TYPE ext_enum; ALTER EXTENSION plpgsql ADD FUNCTION ext_function(); ALTER EXTENSION plpgsql ADD SCHEMA ext_schema;
		CREATE SCHEMA extensions`)
	for _, shipped := range pgtest.Column[string](t, db, `SELECT format('CREATE EXTENSION %I SCHEMA %s', name, CASE name WHEN 'hstore' THEN 'extensions' ELSE 'public' END)
		FROM pg_available_extensions WHERE name IN ('hstore', 'pg_trgm', 'citext', 'btree_gist', 'postgres_fdw', 'unaccent')`) {
		db.Exec(t, shipped)
	}
}

func TestSnapshotSaysWhatFails(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	pool := pgtest.NewEmpty(t).Pool(t)
	cancel()
	_, err := catalog.Take(ctx, pool, catalog.Options{})
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorContains(t, err, "take a snapshot of the schema: begin: ")
}
