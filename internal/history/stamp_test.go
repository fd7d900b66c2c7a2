package history_test

import (
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/internal/history"
	"github.com/bbmd-dev/bbmd/testing/pgtest"
)

// stamp stamps in a transaction of its own.
func stamp(t *testing.T, db *pgtest.Database, files history.Files, at history.Place, heads []string) {
	t.Helper()
	err := pgx.BeginFunc(t.Context(), db.Conn(t), func(tx pgx.Tx) error {
		return files.Stamp(t.Context(), tx, at, heads)
	})
	require.NoError(t, err)
}

// stampTool stamps without files.
func stampTool(t *testing.T, db *pgtest.Database, tool history.Tool, at history.Place, rows ...string) error {
	t.Helper()
	return pgx.BeginFunc(t.Context(), db.Conn(t), func(tx pgx.Tx) error {
		return history.Stamp(t.Context(), tx, tool, at, rows)
	})
}

// TestStampIsFound: what is written for a tool is what is read of it, in
// every tool that may be written for, in a table that is made and in one that
// was there.
func TestStampIsFound(t *testing.T) {
	t.Parallel()
	const shape = "public."
	for tool, c := range map[history.Tool]struct {
		table, ddl  string // as the tool itself makes it
		first, then []string
		none        []string // rows that say nothing
	}{
		history.Alembic:       {"alembic_version", alembicDDL, []string{"a1", "b2"}, []string{"c3"}, nil},
		history.Goose:         {"goose_db_version", gooseDDL, []string{"1", "2", "10"}, []string{"1"}, nil},
		history.GolangMigrate: {"schema_migrations", golangMigrateDDL, []string{"7"}, []string{"20260105120000"}, nil},
		history.Tern:          {"schema_version", ternDDL, []string{"7"}, []string{"6"}, nil},
		history.Dbmate:        {"schema_migrations", dbmateDDL, []string{"1", "2"}, []string{"2", "3"}, nil},
	} {
		t.Run(string(tool), func(t *testing.T) {
			t.Parallel()
			theirs, ours := pgtest.NewEmpty(t), pgtest.NewEmpty(t)
			theirs.Exec(t, c.ddl)
			for _, rows := range [][]string{c.first, c.then, c.none, c.first} {
				for _, db := range []*pgtest.Database{theirs, ours} {
					require.NoError(t, stampTool(t, db, tool, history.Place{}, rows...))

					records, err := history.Find(t.Context(), db.Conn(t))

					require.NoError(t, err)
					require.Len(t, records, 1)
					require.Equal(t, tool, records[0].Tool)
					require.Equal(t, c.table, records[0].Table)
					require.Equal(t, rows, append([]string(nil), records[0].Applied...))
					require.Empty(t, records[0].Dirty)
				}
			}
			require.Equal(t, tableShape(t, theirs, shape+c.table), tableShape(t, ours, shape+c.table))
		})
	}
}

func TestStampCleansDirt(t *testing.T) {
	t.Parallel()
	for _, c := range toolCases() {
		if c.dirty == "" || c.tool != history.Goose && c.tool != history.GolangMigrate && c.tool != history.Tern {
			continue
		}
		db := pgtest.NewEmpty(t)
		db.Exec(t, c.sql)
		require.NoError(t, stampTool(t, db, c.tool, history.Place{}, "1"))
		records, err := history.Find(t.Context(), db.Conn(t))
		require.NoError(t, err)
		require.Equal(t, []string{"1"}, records[0].Applied, c.name)
		require.Empty(t, records[0].Dirty, c.name)
	}
}

// TestStampFindsItsPlace: the search path finds and places the table, unless
// a schema is named.
func TestStampFindsItsPlace(t *testing.T) {
	t.Parallel()
	db := pgtest.NewEmpty(t)
	db.Exec(t, `CREATE SCHEMA "My App"; CREATE SCHEMA later; ALTER DATABASE `+db.Name+` SET search_path = nowhere, "My App", later`)
	find := func() []string {
		records, err := history.Find(t.Context(), db.Conn(t))
		require.NoError(t, err)
		var places []string
		for _, r := range records {
			places = append(places, r.Place().String())
		}
		return places
	}

	require.NoError(t, stampTool(t, db, history.Alembic, history.Place{Schema: "later"}, "a1"))
	require.NoError(t, stampTool(t, db, history.Alembic, history.Place{}, "b2"))
	require.Equal(t, []string{"later.alembic_version"}, find(), "the path finds it")
	require.NoError(t, stampTool(t, db, history.Goose, history.Place{}, "1"))
	require.NoError(t, stampTool(t, db, history.Alembic, history.Place{Schema: "public", Table: "Versions"}, "a1"))
	require.Equal(t, []string{`"My App".goose_db_version`, "later.alembic_version", `public."Versions"`}, find())
	require.Equal(t, "Versions_pkc", pgtest.One[string](t, db, `SELECT conname::text FROM pg_constraint WHERE contype = 'p' AND conrelid = 'public."Versions"'::regclass`), "as Alembic names it")

	require.ErrorContains(t, stampTool(t, db, history.Alembic, history.Place{Schema: "missing"}, "a1"), `create missing.alembic_version: ERROR: schema "missing" does not exist`)
	db.Exec(t, `ALTER DATABASE `+db.Name+` SET search_path = nowhere`)
	require.ErrorContains(t, stampTool(t, db, history.Alembic, history.Place{}, "a1"), "search_path names no schema that exists")
}

func TestStampRefuses(t *testing.T) {
	t.Parallel()
	files, err := openGoose(t, map[string]string{"1_a.sql": upOnly})
	require.NoError(t, err)
	alembic := openProject(t, "twoheads")
	for name, c := range map[string]struct {
		sql  string
		tool history.Tool
		rows []string
		want string
	}{
		"another tool":          {tool: history.Django, want: "Django's version table is not written by bbmd; use the tool's own command"},
		"another's table":       {sql: ectoDDL, tool: history.GolangMigrate, rows: []string{"1"}, want: "public.schema_migrations is not a version table of golang-migrate: it has the columns version, inserted_at"},
		"a view":                {sql: "CREATE VIEW alembic_version AS SELECT 'a' AS version_num", tool: history.Alembic, rows: []string{"a1"}, want: "public.alembic_version is not a table of the user's own: it is a view"},
		"an extension's":        {sql: alembicDDL + "ALTER EXTENSION plpgsql ADD TABLE alembic_version", tool: history.Alembic, rows: []string{"a1"}, want: "belongs to an extension"},
		"too long":              {tool: history.Alembic, rows: []string{"0123456789012345678901234567890123"}, want: `longer than the 32 characters of version_num: make it wider first, ALTER TABLE "public"."alembic_version" ALTER COLUMN version_num TYPE varchar(34)`},
		"an empty version":      {tool: history.Alembic, rows: []string{""}, want: "a version is empty"},
		"two for one":           {tool: history.Tern, rows: []string{"1", "2"}, want: "the tool keeps one version, and these are 2: 1, 2"},
		"no number":             {tool: history.Goose, rows: []string{"one"}, want: `version "one" is not a number`},
		"no number either":      {tool: history.GolangMigrate, rows: []string{"-1"}, want: `version "-1" is not a number`},
		"more than tern counts": {tool: history.Tern, rows: []string{"20260105120000"}, want: "integer out of range"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := pgtest.NewEmpty(t).Superuser(t)
			if c.sql != "" {
				db.Exec(t, c.sql)
			}

			err := stampTool(t, db, c.tool, history.Place{}, c.rows...)

			require.ErrorContains(t, err, c.want)
			require.ErrorContains(t, err, "stamp")
		})
	}
	tx, err := pgtest.NewEmpty(t).Superuser(t).Conn(t).Begin(t.Context())
	require.NoError(t, err)
	require.ErrorContains(t, files.Stamp(t.Context(), tx, history.Place{}, []string{"1", "2"}), "keeps one version")
	require.ErrorContains(t, alembic.Stamp(t.Context(), tx, history.Place{}, []string{"z9"}), "is not in the files")
	require.NoError(t, tx.Rollback(t.Context()))
}

// TestStampWritesNoAncestors: Alembic refuses a table that has some.
func TestStampWritesNoAncestors(t *testing.T) {
	t.Parallel()
	db := pgtest.NewEmpty(t)

	stamp(t, db, openProject(t, "depends"), history.Place{}, []string{"c1", "c2", "b1"})

	require.Equal(t, []string{"b1"}, pgtest.Column[string](t, db, "SELECT version_num FROM alembic_version"))
}

// TestStampWaitsForOthers: two at once leave one of them whole.
func TestStampWaitsForOthers(t *testing.T) {
	t.Parallel()
	db := pgtest.NewEmpty(t)
	require.NoError(t, stampTool(t, db, history.Alembic, history.Place{}, "a1"))
	first, err := db.Conn(t).Begin(t.Context())
	require.NoError(t, err)
	require.NoError(t, history.Stamp(t.Context(), first, history.Alembic, history.Place{}, []string{"b2"}))
	done := make(chan error, 1)

	go func() { done <- stampTool(t, db, history.Alembic, history.Place{}, "c3") }()
	db.WaitFor(t, "SELECT EXISTS (SELECT FROM pg_locks WHERE relation = 'alembic_version'::regclass AND NOT granted)")
	require.NoError(t, first.Commit(t.Context()))

	require.NoError(t, <-done)
	require.Equal(t, []string{"c3"}, pgtest.Column[string](t, db, "SELECT version_num FROM alembic_version"))
}
