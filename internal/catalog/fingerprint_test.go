package catalog_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/internal/catalog"
	"github.com/bbmd-dev/bbmd/testing/pgtest"
)

func fingerprint(t *testing.T, db catalog.DB, options catalog.Options) catalog.Data {
	t.Helper()
	data, err := catalog.Fingerprint(t.Context(), db, options)
	require.NoError(t, err)
	return data
}

func TestFingerprintKnowsEveryChangeOfRows(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	db.Exec(t, `CREATE TABLE a (bbmd_row int, at timestamptz, f float8, blob bytea); INSERT INTO a SELECT n, '2026-01-01 00:00+00', n / 3.0, '\xff' FROM generate_series(1, 100) n;
		CREATE TABLE "B b" (id serial PRIMARY KEY); CREATE TABLE event (id int) PARTITION BY LIST (id); CREATE TABLE event_1 PARTITION OF event FOR VALUES IN (1);
		INSERT INTO event VALUES (1); CREATE TABLE animal (n int); CREATE TABLE dog () INHERITS (animal); INSERT INTO dog VALUES (1), (2);
		CREATE MATERIALIZED VIEW m AS SELECT count(*) AS n FROM a; CREATE VIEW v AS SELECT * FROM a; CREATE TABLE goose_db_version (id serial);
		CREATE SEQUENCE up; CREATE SEQUENCE down INCREMENT -1; CREATE SEQUENCE round CYCLE; SELECT setval('up', 10), setval('down', -10), setval('round', 10)`)
	conn := db.Conn(t)
	options := catalog.Options{Exclude: []string{"bbm"}, VersionTables: []catalog.Name{{"public", "goose_db_version"}}}
	before := fingerprint(t, conn, options)
	var rows []string
	for _, d := range before {
		rows = append(rows, d.String())
	}
	require.Equal(t, []string{
		`table public."B b"`, `sequence public."B b_id_seq"`, "table public.a", "table public.animal", "table public.dog",
		"sequence public.down", "table public.event_1", "table public.m", "sequence public.round", "sequence public.up",
	}, rows)
	require.EqualValues(t, 100, before[2].Rows)
	require.Zero(t, before[3].Rows)
	require.EqualValues(t, 2, before[4].Rows)

	for sql, want := range map[string][]string{
		"SELECT 1": nil,
		"CREATE TABLE c AS TABLE a; TRUNCATE a; INSERT INTO a SELECT * FROM c ORDER BY bbmd_row DESC; DROP TABLE c": nil, // another order
		"UPDATE a SET bbmd_row = bbmd_row":                               nil,
		"UPDATE a SET bbmd_row = 0 WHERE bbmd_row = 50":                  {"table public.a has other rows than before, as many"},
		"UPDATE a SET bbmd_row = 101 - bbmd_row":                         {"table public.a has other rows than before, as many"},
		"UPDATE a SET f = NULL WHERE bbmd_row = 1":                       {"table public.a has other rows than before, as many"},
		"DELETE FROM a WHERE bbmd_row = 1":                               {"table public.a has 99 rows, had 100"},
		"INSERT INTO a SELECT * FROM a":                                  {"table public.a has 200 rows, had 100"},
		"INSERT INTO event VALUES (1)":                                   {"table public.event_1 has 2 rows, had 1"},
		"SELECT nextval('up'), nextval('down'), nextval('round')":        nil,
		"SELECT setval('up', 9), setval('down', -9), setval('round', 1)": {"sequence public.down was set from -10 to -9", "sequence public.up was set from 10 to 9"},
		"SELECT setval('up', 10, false)":                                 {"sequence public.up was set from 10 to 10"},
		"DROP TABLE dog; CREATE TABLE cat (n int)":                       {"table public.cat is new; it has 0 rows", "table public.dog is gone; it had 2 rows"},
		"INSERT INTO goose_db_version DEFAULT VALUES":                    nil,
		"SET LOCAL timezone = 'Asia/Kolkata'; SET LOCAL extra_float_digits = -3; SET LOCAL bytea_output = escape; SET LOCAL search_path = ''": nil,
	} {
		tx, err := conn.Begin(t.Context())
		require.NoError(t, err)
		exec(t, tx, sql)
		require.Equal(t, want, before.Changes(fingerprint(t, tx, options)), sql)
		require.NoError(t, tx.Rollback(t.Context()))
		exec(t, conn, "SELECT setval('up', 10), setval('down', -10), setval('round', 10)") // no transaction undoes it
	}
	require.Nil(t, before.Changes(fingerprint(t, db.Pool(t), options)))
}

func TestFingerprintOfAnEmptyDatabase(t *testing.T) {
	t.Parallel()
	data := fingerprint(t, pgtest.NewEmpty(t).Conn(t), catalog.Options{})
	require.Equal(t, catalog.Data{}, data)
	require.Nil(t, data.Changes(nil))
}

func TestFingerprintIsOfOneMoment(t *testing.T) {
	t.Parallel()
	db := pgtest.NewEmpty(t)
	db.Exec(t, "CREATE TABLE a (id int); CREATE TABLE b (id int)")
	writer, err := db.Conn(t).Begin(t.Context())
	require.NoError(t, err)
	defer writer.Rollback(t.Context()) //nolint:errcheck // it is committed unless the test has failed
	exec(t, writer, "LOCK TABLE b IN ACCESS EXCLUSIVE MODE")

	conn := db.Conn(t)
	pid := conn.PgConn().PID()
	var data catalog.Data
	done := make(chan error, 1)
	go func() {
		var err error
		data, err = catalog.Fingerprint(t.Context(), conn, catalog.Options{})
		done <- err
	}()
	db.WaitFor(t, "SELECT EXISTS (SELECT FROM pg_locks WHERE pid = $1 AND NOT granted)", pid)
	exec(t, writer, "INSERT INTO a VALUES (1); INSERT INTO b VALUES (1)")
	require.NoError(t, writer.Commit(t.Context()))
	require.NoError(t, <-done)
	require.Zero(t, data[0].Rows)
	require.Zero(t, data[1].Rows)
}

func TestFingerprintRefusesWhatItCannotSee(t *testing.T) {
	t.Parallel()
	db := pgtest.NewEmpty(t).Superuser(t)
	role := newRole(t, db)
	db.Exec(t, "CREATE TABLE secret (id int); CREATE TABLE t (id int); ALTER TABLE t ENABLE ROW LEVEL SECURITY; GRANT SELECT ON t TO "+role)
	conn := as(t, db, role)
	_, err := catalog.Fingerprint(t.Context(), conn, catalog.Options{})
	require.ErrorContains(t, err, "sum up the rows of the database: table public.secret: ")
	db.Exec(t, "DROP TABLE secret")
	_, err = catalog.Fingerprint(t.Context(), conn, catalog.Options{})
	require.ErrorContains(t, err, "table public.t: ")
	require.ErrorContains(t, err, "row-level security")
}

func TestFingerprintLeavesTheSessionAsItWas(t *testing.T) {
	t.Parallel()
	db := pgtest.NewEmpty(t)
	db.Exec(t, "CREATE TABLE t AS SELECT n FROM generate_series(1, 50000) n")
	conn := db.Conn(t)
	exec(t, conn, "SET statement_timeout = '1min'; SET row_security = on")
	require.EqualValues(t, 50000, fingerprint(t, conn, catalog.Options{})[0].Rows)
	var settings string
	require.NoError(t, conn.QueryRow(t.Context(), "SELECT current_setting('statement_timeout') || ' ' || current_setting('row_security')").Scan(&settings))
	require.Equal(t, "1min on", settings)
	require.Equal(t, byte('I'), conn.PgConn().TxStatus())
}
