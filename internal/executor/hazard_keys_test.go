package executor_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/internal/control"
	"github.com/bbmd-dev/bbmd/internal/executor"
	"github.com/bbmd-dev/bbmd/testing/pgtest"
)

// A key is handed around as text. Whatever its type, and however the database
// is set to write it, the text leads back to the same place.
func TestH2d_EveryKeySurvivesEverySetting(t *testing.T) {
	t.Parallel()
	keys := map[string]struct{ typ, value string }{
		"smallint":    {"smallint", "i - 500"},
		"numeric":     {"numeric", "i / 7.0"},
		"scaled":      {"numeric(10, 3)", "i / 7.0"},
		"date":        {"date", "'2024-12-31'::date + i"},
		"time":        {"time", "'00:00'::time + i * interval '1.1 s'"},
		"timestamp":   {"timestamp", "'2024-12-31'::timestamp + i * interval '1 day 1.000001 s'"},
		"timestamptz": {"timestamptz", "'2024-10-26 00:00Z'::timestamptz + i * interval '1 minute 0.000001 s'"},
		"interval":    {"interval", "(i - 500) * interval '1 day -1.5 s'"},
		"bytea":       {"bytea", `decode(lpad(to_hex(i * 97), 8, '0'), 'hex') || '\x5c00'::bytea`},
		"varchar":     {"varchar(20)", `'ä"\,''' || i`},
		"char":        {"char(20)", "'x' || i"},
		"name":        {"name", "'n' || i"},
		"bit":         {"bit(12)", "i::bit(12)"},
		"inet":        {"inet", "'10.0.0.0'::inet + i"},
		"oid":         {"oid", "(3000000000 + i)::oid"},
		"array":       {"int[]", "ARRAY[i % 10, i]"},
		"enum":        {"weight", "('{light,heavy,average}'::weight[])[1 + i % 3]"},
		"domain":      {"positive", "i"},
		"boolean":     {"boolean", "i % 2 = 0"},
		"no case":     {"text COLLATE no_case", "CASE WHEN i % 2 = 0 THEN 'K' ELSE 'k' END || i"},
	}
	db := database(t)
	db.Exec(t, "CREATE TYPE weight AS ENUM ('light', 'average', 'heavy'); CREATE DOMAIN positive AS bigint CHECK (VALUE > 0)")
	db.Exec(t, "CREATE COLLATION no_case (provider = icu, locale = 'und-u-ks-level2', deterministic = false)")
	for name, c := range keys {
		for _, work := range []string{"bump", "bump_in_go"} {
			db.Exec(t, fmt.Sprintf(`CREATE TABLE "%[1]s %[2]s" (id %[3]s PRIMARY KEY, n int NOT NULL DEFAULT 0); INSERT INTO "%[1]s %[2]s" SELECT DISTINCT ON (1) %[4]s FROM generate_series(1, 1000) i;
				SELECT bbm.enqueue('%[2]s', '"%[1]s %[2]s"', name => '%[1]s %[2]s', batch_size => 70, target_duration => '0')`, name, work, c.typ, c.value))
		}
	}
	for setting, value := range map[string]string{
		"DateStyle": "SQL, DMY", "IntervalStyle": "sql_standard", "TimeZone": "Europe/London", "bytea_output": "escape",
		"extra_float_digits": "-15", "lc_monetary": "C", "search_path": "public",
	} {
		db.Exec(t, fmt.Sprintf("ALTER DATABASE %s SET %s = %s", db.Name, setting, "'"+value+"'"))
	}
	start(t, db, workers(4))
	for name := range keys {
		for _, work := range []string{"bump", "bump_in_go"} {
			name := name + " " + work
			db.WaitFor(t, "SELECT status IN ('finished', 'failed') FROM bbm.progress WHERE name = $1", name)
			require.Equal(t, "finished", pgtest.One[string](t, db, "SELECT concat_ws(' ', status, error_message) FROM bbm.progress WHERE name = $1", name), name)
			require.Zero(t, pgtest.One[int](t, db, fmt.Sprintf(`SELECT count(*) FROM "%s" WHERE n <> 1`, name)), name)
		}
	}
	tiles(t, db)
}

// Names need quoting, and may hold what the control schema's own SQL is full of.
func TestNamesThatNeedQuoting(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, db *pgtest.Database, work string) {
		t.Helper()
		db.Exec(t, `CREATE SCHEMA "my bbm."; CREATE TABLE "my bbm."."a.b ""$1"" %s" ("the, id" bigint PRIMARY KEY, n int NOT NULL DEFAULT 0);
			INSERT INTO "my bbm."."a.b ""$1"" %s" SELECT generate_series(1, 500)`)
		start(t, db, nil)
		db.Exec(t, "INSERT INTO "+migrationsTable+` (name, job_signature_name, table_name, batch_size) VALUES ('m', $1, '"my bbm."."a.b ""$1"" %s"', 50)`, work)
		ends(t, db, "finished")

		require.Zero(t, pgtest.One[int](t, db, `SELECT count(*) FROM "my bbm."."a.b ""$1"" %s" WHERE n <> 1`))
		tiles(t, db)
	})
}

// The control schema has another name, and the table's schema ends like its usual one.
func TestControlSchemaOfAnotherName(t *testing.T) {
	t.Parallel()
	for _, work := range []string{"bump", "bump_in_go"} {
		t.Run(work, func(t *testing.T) {
			t.Parallel()
			db := pgtest.NewEmpty(t)
			require.NoError(t, control.Install(t.Context(), db.Conn(t), "my ops"))
			db.Exec(t, "CREATE SCHEMA mybbm; CREATE TABLE mybbm.t (id bigint PRIMARY KEY, n int NOT NULL DEFAULT 0); INSERT INTO mybbm.t SELECT generate_series(1, 500)")
			start(t, db, func(o *executor.Options) { o.Store = control.NewStore("my ops") })
			db.Exec(t, `SELECT "my ops".enqueue($1, 'mybbm.t', name => 'm', batch_size => 50)`, work)
			db.WaitFor(t, `SELECT status IN ('finished', 'failed') FROM "my ops".progress`)

			require.Equal(t, "finished", pgtest.One[string](t, db, `SELECT concat_ws(' ', status, error_message) FROM "my ops".progress`))
			require.Zero(t, pgtest.One[int](t, db, "SELECT count(*) FROM mybbm.t WHERE n <> 1"))
		})
	}
}
