package history_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/internal/history"
	"github.com/bbmd-dev/bbmd/testing/pgtest"
)

// lookAlikes are tables that are nobody's version table.
func lookAlikes() map[string]string {
	return map[string]string{
		"birds":                             `CREATE TABLE migrations (id serial PRIMARY KEY, name text, "timestamp" bigint, species text)`,
		"birds of text":                     `CREATE TABLE migrations (id text, name text, "timestamp" bigint)`,
		"laravel with more":                 `CREATE TABLE migrations (id serial, migration text, batch int, herd text)`,
		"schema_migrations of a log":        `CREATE TABLE schema_migrations (version text, applied_by text)`,
		"dirty of text":                     `CREATE TABLE schema_migrations (version bigint, dirty text)`,
		"schema_version of an app":          `CREATE TABLE schema_version (version int4, note text)`,
		"schema_version of text":            `CREATE TABLE schema_version (version text)`,
		"alembic_version of a number":       `CREATE TABLE alembic_version (version_num int)`,
		"alembic_version as a view":         `CREATE VIEW alembic_version AS SELECT 'a'::text AS version_num`,
		"version_num of another":            `CREATE TABLE product (version_num varchar(32) PRIMARY KEY)`,
		"version_num with more":             `CREATE TABLE release (version_num varchar(32), at date, CONSTRAINT release_pkc PRIMARY KEY (version_num))`,
		"goose with another column":         `CREATE TABLE app_version (id int, version_id bigint, is_applied boolean, tstamp timestamp, host text)`,
		"goose of text":                     `CREATE TABLE goose_db_version (id int, version_id text, is_applied boolean, tstamp timestamp)`,
		"sequelize in small letters":        `CREATE TABLE sequelizemeta (name text)`,
		"ef core in small letters":          `CREATE TABLE __efmigrationshistory ("MigrationId" text, "ProductVersion" text)`,
		"ef core with columns in small":     `CREATE TABLE "__EFMigrationsHistory" (migrationid text, productversion text)`,
		"Alembic_Version in mixed case":     `CREATE TABLE "Alembic_Version" (version_num varchar(32))`,
		"flyway without success":            `CREATE TABLE flyway_schema_history (installed_rank int, version text)`,
		"rails metadata alone":              `CREATE TABLE ar_internal_metadata (key text, value text)`,
		"liquibase lock alone":              `CREATE TABLE databasechangeloglock (id int, locked boolean, lockgranted timestamp, lockedby text)`,
		"django without app":                `CREATE TABLE django_migrations (id int, name text, applied timestamptz)`,
		"prisma of another time":            `CREATE TABLE _prisma_migrations (id text, migration_name text)`,
		"a partition of an alembic_version": `CREATE TABLE parent (version_num varchar(32)) PARTITION BY LIST (version_num); CREATE TABLE alembic_version PARTITION OF parent DEFAULT`,
	}
}

// TestFindRecognises has every case in a schema of its own of one database, so
// that each also shows that another schema's tables are not mistaken for its.
func TestFindRecognises(t *testing.T) {
	t.Parallel()
	db := pgtest.NewEmpty(t)
	inSchema := func(name, sql string) {
		schema := pgx.Identifier{name}.Sanitize()
		db.Exec(t, "CREATE SCHEMA "+schema+"; SET search_path = "+schema+"; "+sql)
	}
	for _, c := range toolCases() {
		inSchema(c.name, c.sql)
	}
	for name, sql := range lookAlikes() {
		inSchema(name, sql)
	}

	records, err := history.Find(t.Context(), db.Conn(t))

	require.NoError(t, err)
	bySchema := map[string][]history.Record{}
	for _, r := range records {
		bySchema[r.Schema] = append(bySchema[r.Schema], r)
	}
	for name := range lookAlikes() {
		require.Empty(t, bySchema[name], name)
	}
	seen := map[history.Tool]bool{}
	for _, c := range toolCases() {
		seen[c.tool] = true
		require.Len(t, bySchema[c.name], 1, c.name)
		checkRecord(t, c, bySchema[c.name][0])
	}
	require.Len(t, seen, 23, "every tool has a case")
}

func checkRecord(t *testing.T, c tableCase, got history.Record) {
	t.Helper()
	current := c.current
	if current == nil && len(c.applied) > 0 {
		current = c.applied[len(c.applied)-1:]
	}
	require.Equal(t, c.tool, got.Tool, c.name)
	require.Equal(t, c.table, got.Table, c.name)
	require.Equal(t, c.applied, append([]string(nil), got.Applied...), c.name)
	require.Equal(t, current, append([]string(nil), got.Current...), c.name)
	require.Equal(t, c.companions, got.Companions, c.name)
	require.Contains(t, got.Remedy, c.remedy, c.name)
	require.NotEmpty(t, got.Remedy, c.name)
	if c.dirty == "" {
		require.Empty(t, got.Dirty, c.name)
	} else {
		require.Contains(t, got.Dirty, c.dirty, c.name)
	}
}

func TestFindSeesNothingInAnEmptyDatabase(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t) // with bbmd's own schema

	records, err := history.Find(t.Context(), db.Conn(t))

	require.NoError(t, err)
	require.Empty(t, records)
}

func TestFindReportsAllOfSeveral(t *testing.T) {
	t.Parallel()
	db := pgtest.NewEmpty(t)
	db.Exec(t, `CREATE SCHEMA "Odd Name"`)
	db.Exec(t, alembicDDL+gooseDDL+`INSERT INTO goose_db_version (version_id, is_applied) VALUES (0, true)`)
	db.Exec(t, `SET search_path = "Odd Name"; `+alembicDDL+`INSERT INTO alembic_version VALUES ('a1')`)

	records, err := history.Find(t.Context(), db.Pool(t))

	require.NoError(t, err)
	var got []string
	for _, r := range records {
		got = append(got, fmt.Sprintf("%s %s %v", r.Tool, r.Place(), r.Applied))
	}
	require.Equal(t, []string{`alembic "Odd Name".alembic_version [a1]`, `alembic public.alembic_version []`, `goose public.goose_db_version []`}, got)

	records, err = history.Find(t.Context(), db.Conn(t), "public", "nowhere")
	require.NoError(t, err)
	require.Len(t, records, 1, "schemas that are named are left out")
}

func TestFindLeavesOutWhatIsNotTheUsers(t *testing.T) {
	t.Parallel()
	db := pgtest.NewEmpty(t).Superuser(t)
	conn := db.Conn(t)
	_, err := conn.Exec(t.Context(), ``+alembicDDL+`ALTER EXTENSION plpgsql ADD TABLE alembic_version;
		CREATE TEMPORARY TABLE goose_db_version (id int, version_id bigint, is_applied boolean, tstamp timestamp)`)
	require.NoError(t, err)

	records, err := history.Find(t.Context(), conn)

	require.NoError(t, err)
	require.Empty(t, records)
}

// TestFindSaysWhatItMayNotRead: an unreadable table must not look empty.
func TestFindSaysWhatItMayNotRead(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ sql, want string }{
		"no select": {`REVOKE ALL ON alembic_version FROM PUBLIC`, "may not read it: GRANT USAGE ON SCHEMA public and SELECT ON public.alembic_version"},
		"no usage":  {`GRANT SELECT ON alembic_version TO PUBLIC; REVOKE ALL ON SCHEMA public FROM PUBLIC`, "may not read it"},
		"policy":    {`GRANT SELECT ON alembic_version TO PUBLIC; ALTER TABLE alembic_version ENABLE ROW LEVEL SECURITY`, "row-level security hides rows"},
		"lock":      {`DROP TABLE alembic_version; ` + knexDDL + `GRANT SELECT ON knex_migrations TO PUBLIC`, "read public.knex_migrations_lock: this role may not read it"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := pgtest.NewEmpty(t).Superuser(t)
			tx, err := db.Conn(t).Begin(t.Context()) // takes the role with it, which is the server's
			require.NoError(t, err)
			role := db.Name + "_r"
			_, err = tx.Exec(t.Context(), alembicDDL+`INSERT INTO alembic_version VALUES ('a1');`+c.sql+`; CREATE ROLE `+role+`; SET LOCAL ROLE `+role)
			require.NoError(t, err)

			_, err = history.Find(t.Context(), tx)

			require.NoError(t, tx.Rollback(t.Context()))
			require.ErrorContains(t, err, c.want)
			require.ErrorContains(t, err, "version table")
		})
	}
}

func TestFindReadsOnly(t *testing.T) {
	t.Parallel()
	db := pgtest.NewEmpty(t)
	for _, c := range toolCases() {
		if !strings.Contains(c.name, " ") { // a schema of their own, by the tools' names
			schema := pgx.Identifier{c.name}.Sanitize()
			db.Exec(t, "CREATE SCHEMA "+schema+"; SET search_path = "+schema+"; "+c.sql)
		}
	}
	tx, err := db.Conn(t).BeginTx(t.Context(), pgx.TxOptions{AccessMode: pgx.ReadOnly})
	require.NoError(t, err)

	records, err := history.Find(t.Context(), tx)

	require.NoError(t, err)
	require.NotEmpty(t, records)
	require.NoError(t, tx.Rollback(t.Context()))
}
