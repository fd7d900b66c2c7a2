package rehearsal_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/internal/control"
	"github.com/bbmd-dev/bbmd/internal/executor"
	"github.com/bbmd-dev/bbmd/internal/rehearsal"
	"github.com/bbmd-dev/bbmd/registry"
	"github.com/bbmd-dev/bbmd/testing/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// statement is a Work that is the SQL in its arguments.
func statement() registry.Work {
	return registry.Work{Name: "sql", SQL: func(m registry.Migration) (registry.Statement, error) {
		var args struct{ SQL string }
		if err := json.Unmarshal(m.Arguments, &args); err != nil {
			return registry.Statement{}, err
		}
		return registry.ParseStatement(args.SQL)
	}, Arguments: &struct {
		SQL string `json:"sql"`
	}{}}
}

// on is a candidate for a statement on the table t.
func on(sql string) control.Candidate {
	args, _ := json.Marshal(map[string]string{"sql": sql})
	return control.Candidate{Work: "sql", Table: "t", Arguments: args, Parallelism: 1, Knobs: control.Knobs{BatchSize: 1000, MinBatchSize: 10, MaxBatchSize: 100_000}}
}

const addOne = "UPDATE t SET n = n + 1 WHERE :range"

func options(t *testing.T, db *pgtest.Database, works ...registry.Work) executor.Options {
	t.Helper()
	all := registry.New()
	require.NoError(t, all.Register(append(works, statement())...))
	return executor.Options{
		Database: "test", Pool: db.Pool(t), Registry: all, Logger: slog.New(slog.DiscardHandler), Settings: executor.DefaultSettings(),
		Connect: func(ctx context.Context, application string) (*pgx.Conn, error) {
			config, err := pgx.ParseConfig(db.URL)
			if err != nil {
				return nil, err
			}
			config.RuntimeParams["application_name"] = application
			return pgx.ConnectConfig(ctx, config)
		},
	}
}

// rehearse rehearses a migration, with batches that keep their size unless change says otherwise.
func rehearse(t *testing.T, db *pgtest.Database, c control.Candidate, opts rehearsal.Options, works ...registry.Work) *rehearsal.Report {
	t.Helper()
	report, err := try(t, db, c, opts, works...)
	require.NoError(t, err)
	return report
}

func try(t *testing.T, db *pgtest.Database, c control.Candidate, opts rehearsal.Options, works ...registry.Work) (*rehearsal.Report, error) {
	t.Helper()
	r, err := executor.Rehearse(t.Context(), options(t, db, works...), c)
	if err != nil {
		return nil, err
	}
	defer r.Close(t.Context())
	return rehearsal.Run(t.Context(), r, c, opts)
}

// rows creates the table t with keys of 1 to n.
func rows(t *testing.T, n int) *pgtest.Database {
	t.Helper()
	db := pgtest.New(t)
	db.Exec(t, "CREATE TABLE t (id bigint PRIMARY KEY, n int NOT NULL DEFAULT 0) WITH (autovacuum_enabled = off)")
	db.Exec(t, "INSERT INTO t SELECT generate_series(1, $1::int)", n)
	db.Exec(t, "ANALYZE t")
	return db
}

// levels lists the findings about something, as "level: text; hint".
func about(r *rehearsal.Report, what string) []string {
	var all []string
	for _, f := range r.Findings {
		if f.About == what {
			all = append(all, string(f.Level)+": "+f.Text)
		}
	}
	return all
}

func untouched(t *testing.T, db *pgtest.Database) {
	t.Helper()
	require.Zero(t, pgtest.One[int](t, db, "SELECT count(*) FROM t WHERE n <> 0"), "all was rolled back")
}

func TestMeasuresAndProjects(t *testing.T) {
	t.Parallel()
	db := rows(t, 100_000)
	r := rehearse(t, db, on(addOne), rehearsal.Options{Batches: 6, Workers: 2, Duty: 0.5})
	untouched(t, db)
	require.Equal(t, []string{"ok: a batch finds its rows through the index t_pkey"}, about(r, "plan"))
	require.Equal(t, []string{"id"}, r.Key)
	require.Contains(t, strings.Join(r.Plan, "\n"), "Index Scan using t_pkey on t")

	require.Len(t, r.Batches, 6)
	require.Nil(t, r.Batches[0].After)
	require.Equal(t, "1000", r.Batches[0].End)
	sizes := []int64{}
	for _, b := range r.Batches {
		require.Nil(t, b.Failure)
		require.Equal(t, b.Keys, b.Rows)
		require.Positive(t, b.Milliseconds)
		require.Positive(t, b.WALBytes)
		sizes = append(sizes, b.Keys)
	}
	require.Equal(t, []int64{1000, 1000, 1000}, sizes[:3])
	require.NotEqual(t, int64(1000), sizes[3], "the second half has the size that takes the target")
	require.Equal(t, sizes[3], sizes[4])

	m := r.Measured
	require.Equal(t, 6, m.Batches)
	require.Equal(t, int32(sizes[4]), m.BatchSize)
	require.Greater(t, *m.WALPerRow, 30.0)
	require.Less(t, *m.WALPerRow, 20_000.0)
	require.NotNil(t, m.HOTShare)
	require.Equal(t, []rehearsal.Write{{Table: "public.t", Updated: m.Rows, HOT: r.Writes[0].HOT}}, forget(r.Writes))

	p := r.Forecast
	require.InDelta(t, 100_000, p.Keys, 2000)
	require.False(t, p.Guess)
	require.Equal(t, 2, p.Workers)
	require.Equal(t, []float64{1, 0.5, 0.25}, []float64{p.Durations[0].Duty, p.Durations[1].Duty, p.Durations[2].Duty})
	require.InDelta(t, float64(p.Keys)/m.KeysPerSec/2, p.Durations[0].Seconds, 0.001)
	require.InDelta(t, 4*p.Durations[0].Seconds, p.Durations[2].Seconds, 0.001)
	require.InDelta(t, p.Keys, p.DeadRows, 10, "each row has one dead version")
	require.InEpsilon(t, *m.WALPerRow*float64(p.Keys), float64(p.WALBytes), 0.01)
	require.Positive(t, p.TableBytes)
	require.Less(t, p.TableBytes, 2*p.SizeBefore)
	require.False(t, r.Failed())
}

// forget drops what is not for reports.
func forget(all []rehearsal.Write) []rehearsal.Write {
	clean := make([]rehearsal.Write, len(all))
	for i, w := range all {
		clean[i] = rehearsal.Write{Table: w.Table, Inserted: w.Inserted, Updated: w.Updated, HOT: w.HOT, Deleted: w.Deleted}
	}
	return clean
}

func TestEveryKeyIsSpread(t *testing.T) {
	t.Parallel()
	for name, table := range map[string]string{
		"uuid":      "CREATE TABLE t (id uuid PRIMARY KEY, n int DEFAULT 0); INSERT INTO t SELECT gen_random_uuid() FROM generate_series(1, 20000)",
		"text":      "CREATE TABLE t (id text PRIMARY KEY, n int DEFAULT 0); INSERT INTO t SELECT md5(g::text) FROM generate_series(1, 20000) g",
		"composite": "CREATE TABLE t (a int, b text, n int DEFAULT 0, PRIMARY KEY (a, b)); INSERT INTO t SELECT g / 100, md5(g::text) FROM generate_series(1, 20000) g",
		"sparse":    "CREATE TABLE t (id bigint PRIMARY KEY, n int DEFAULT 0); INSERT INTO t SELECT g * g FROM generate_series(1, 20000) g",
		"partitions": `CREATE TABLE t (id bigint PRIMARY KEY, n int DEFAULT 0) PARTITION BY RANGE (id);
			CREATE TABLE t1 PARTITION OF t FOR VALUES FROM (0) TO (5000); CREATE TABLE t2 PARTITION OF t FOR VALUES FROM (5000) TO (50000);
			INSERT INTO t SELECT generate_series(1, 20000)`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := pgtest.New(t)
			db.Exec(t, table)
			db.Exec(t, `DO $$ DECLARE leaf regclass; BEGIN
				FOR leaf IN SELECT relid FROM pg_partition_tree('t') WHERE isleaf LOOP EXECUTE format('ALTER TABLE %s SET (autovacuum_enabled = off)', leaf); END LOOP;
			END $$`)
			for _, analyzed := range []bool{false, true} {
				if analyzed {
					db.Exec(t, "ANALYZE t")
				}
				r := rehearse(t, db, on(addOne), rehearsal.Options{Batches: 5, Size: 500})
				untouched(t, db)
				require.Equal(t, "ok: a batch finds its rows through the index "+map[bool]string{false: "t_pkey", true: "t1_pkey"}[name == "partitions"], about(r, "plan")[0])
				require.Len(t, r.Batches, 5)
				ends := map[string]bool{}
				for _, b := range r.Batches {
					require.Nil(t, b.Failure)
					require.Equal(t, int64(500), b.Keys)
					require.Equal(t, b.Keys, b.Rows)
					ends[b.End] = true
				}
				require.Len(t, ends, 5, "batches lie apart")
				if analyzed { // before that, autovacuum may have been quicker than we to switch it off
					require.False(t, r.Forecast.Guess)
				}
				require.InEpsilon(t, 20_000, r.Forecast.Keys, 0.1)
			}
		})
	}
}

func TestWhatIsLeftOfAMigrationThatHasBegun(t *testing.T) {
	t.Parallel()
	db := rows(t, 10_000)
	c := on(addOne)
	db.Exec(t, "SELECT bbm.enqueue('sql', 't', $1::text::jsonb, name => 'm')", string(c.Arguments))
	db.Exec(t, `UPDATE bbm.batched_background_migrations SET status = 'running', table_oid = 't'::regclass, key_columns = '{id}', key_types = '{bigint}',
		min_value = '1', max_value = '9500', work_version = 1, keys_done = 9000`)
	db.Exec(t, "INSERT INTO bbm.batched_background_migration_jobs (batched_background_migration_id, ordinal, max_value, batch_size, status) VALUES (1, 1, '9000', 9000, 'finished')")
	c, err := control.Store{}.ScanOne(t.Context(), db.Conn(t), "m")
	require.NoError(t, err)
	r := rehearse(t, db, c, rehearsal.Options{Batches: 3, Size: 100})
	require.Equal(t, "m", r.Migration)
	require.Equal(t, "9000", *r.Batches[0].After)
	require.Equal(t, "9100", r.Batches[0].End)
	require.InDelta(t, 500, r.Forecast.Keys, 120)

	db.Exec(t, "UPDATE bbm.batched_background_migration_jobs SET status = 'running', owner = 7") // somebody is at it
	db.Exec(t, "INSERT INTO bbm.batched_background_migration_jobs (batched_background_migration_id, ordinal, after_value, max_value, batch_size, status) VALUES (1, 2, '9000', '9500', 500, 'finished')")
	r = rehearse(t, db, c, rehearsal.Options{Batches: 3})
	require.Empty(t, r.Batches)
	require.Equal(t, []string{"note: no row is left in its range: it would finish at once"}, about(r, "range"))
}

func TestEmptyTable(t *testing.T) {
	t.Parallel()
	r := rehearse(t, rows(t, 0), on(addOne), rehearsal.Options{Batches: 3})
	require.Empty(t, r.Batches)
	require.Len(t, about(r, "range"), 1)
	require.Nil(t, r.Forecast)
}

func TestStatementsThatReadTooMuch(t *testing.T) {
	t.Parallel()
	db := rows(t, 50_000)
	db.Exec(t, "CREATE TABLE other (ref bigint, payload text); INSERT INTO other SELECT g, repeat('x', 100) FROM generate_series(1, 20000) g; CREATE TABLE small (ref bigint); ANALYZE")
	for sql, want := range map[string]string{
		"UPDATE t SET n = 1 WHERE id IN (SELECT id FROM (SELECT id FROM t OFFSET 0) s WHERE :range(s))": "warn: every batch reads the whole of public.t",
		"UPDATE t SET n = 1 FROM other WHERE ref = id AND :range":                                       "warn: every batch reads the whole of \"public\".\"other\", 2.7 MB",
		"UPDATE t SET n = 1 FROM small WHERE ref = id AND :range":                                       "ok: a batch finds its rows through the index t_pkey",
		"INSERT INTO small SELECT id FROM t WHERE :range":                                               "ok: a batch finds its rows through the index t_pkey",
	} {
		r := rehearse(t, db, on(sql), rehearsal.Options{})
		require.True(t, slices.ContainsFunc(about(r, "plan"), func(f string) bool { return strings.HasPrefix(f, want) }), "%s: %v", sql, about(r, "plan"))
		require.Empty(t, r.Batches)
		require.Nil(t, r.Measured)
	}
}

func TestIndexesOnWhatIsWritten(t *testing.T) {
	t.Parallel()
	db := rows(t, 10_000)
	db.Exec(t, "CREATE INDEX by_n ON t (n); CREATE INDEX by_half ON t ((n / 2)); CREATE INDEX partly ON t (id) WHERE n > 0; CREATE INDEX other ON t ((id + 1))")
	for _, batches := range []int{0, 2} {
		r := rehearse(t, db, on(addOne), rehearsal.Options{Batches: batches})
		require.Equal(t, []string{"warn: by_half, by_n, partly cover what the statement writes (n), so that every updated row writes to all of the table's 5 indexes"}, about(r, "indexes"))
	}
	db.Exec(t, "DROP INDEX by_n, by_half, partly; ALTER TABLE t SET (fillfactor = 30); CLUSTER t USING t_pkey; ANALYZE t")
	r := rehearse(t, db, on(addOne), rehearsal.Options{Batches: 2})
	require.Equal(t, []string{"ok: 100 % of the updates are HOT: they write to no index"}, about(r, "indexes"))
	require.InDelta(t, 1, *r.Measured.HOTShare, 0.001)
	require.Zero(t, r.Forecast.IndexBytes)
}

func TestTriggersAndForeignKeys(t *testing.T) {
	t.Parallel()
	db := rows(t, 1000)
	db.Exec(t, `
		CREATE TABLE log (id bigint); CREATE TABLE parent (id int PRIMARY KEY); INSERT INTO parent VALUES (0), (1);
		ALTER TABLE t ADD CONSTRAINT to_parent FOREIGN KEY (n) REFERENCES parent;
		CREATE TABLE child (t bigint CONSTRAINT from_child REFERENCES t ON DELETE CASCADE); INSERT INTO child VALUES (5);
		CREATE TABLE big (t bigint CONSTRAINT from_big REFERENCES t, payload text); INSERT INTO big SELECT NULL, repeat('x', 500) FROM generate_series(1, 5000);
		CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO log VALUES (1); RETURN NULL; END';
		CREATE TRIGGER each AFTER UPDATE OF n ON t FOR EACH ROW EXECUTE FUNCTION note();
		CREATE TRIGGER once AFTER UPDATE ON t FOR EACH STATEMENT EXECUTE FUNCTION note();
		CREATE TRIGGER inserts AFTER INSERT ON t FOR EACH ROW EXECUTE FUNCTION note();
		CREATE TRIGGER disabled AFTER UPDATE ON t FOR EACH ROW EXECUTE FUNCTION note();
		ALTER TABLE t DISABLE TRIGGER disabled;
		CREATE PUBLICATION everything FOR TABLE t; ALTER TABLE t REPLICA IDENTITY FULL`)
	r := rehearse(t, db, on(addOne), rehearsal.Options{Batches: 1, Size: 100})
	require.Equal(t, []string{
		"warn: trigger each fires AFTER UPDATE on public.t for each row: note()",
		"note: trigger once fires AFTER UPDATE on public.t for each statement: note()",
	}, about(r, "triggers"))
	require.Equal(t, []string{"note: each row is checked against public.parent (to_parent), and locks the row there"}, about(r, "foreign keys"))
	require.Equal(t, []string{"note: batches also write to public.log: 101 rows inserted"}, about(r, "writes"))
	require.Equal(t, []string{"warn: every change is sent to the subscribers of everything, with the whole old row (REPLICA IDENTITY FULL), which also goes into the WAL"}, about(r, "publications"))
	require.Len(t, r.Writes, 2)

	r = rehearse(t, db, on("DELETE FROM t WHERE :range"), rehearsal.Options{Batches: 1, Size: 10})
	require.Empty(t, about(r, "triggers"))
	require.Equal(t, []string{
		"warn: each deleted row reads the whole of public.big, 2.6 MB, for rows that refer to it (from_big)",
		"warn: each deleted row deletes those of public.child that refer to it (from_child, ON DELETE CASCADE)",
	}, about(r, "foreign keys"))
	require.Equal(t, []string{"note: batches also write to public.child: 1 rows deleted"}, about(r, "writes"))
	require.Equal(t, 1, pgtest.One[int](t, db, "SELECT count(*) FROM child"))
	require.Zero(t, pgtest.One[int](t, db, "SELECT count(*) FROM log"))
}

func TestBatchesThatFail(t *testing.T) {
	t.Parallel()
	db := rows(t, 1000)
	r := rehearse(t, db, on("UPDATE t SET n = 1 / (id - 400) WHERE :range"), rehearsal.Options{Batches: 10, Size: 100})
	require.True(t, r.Failed())
	require.Len(t, about(r, "batch"), 1)
	require.Contains(t, about(r, "batch")[0], "fail: keys after ")
	require.Contains(t, about(r, "batch")[0], "division by zero (SQLSTATE 22012)")
	require.Equal(t, 9, r.Measured.Batches)

	// A constraint that waits for the end of the transaction is not missed.
	db.Exec(t, "ALTER TABLE t ADD FOREIGN KEY (n) REFERENCES t (id) DEFERRABLE INITIALLY DEFERRED NOT VALID")
	r = rehearse(t, db, on("UPDATE t SET n = -1 WHERE :range"), rehearsal.Options{Batches: 1})
	require.Contains(t, about(r, "batch")[0], "SQLSTATE 23503")
	db.Exec(t, "ALTER TABLE t DROP CONSTRAINT t_n_fkey")

	holder := db.Conn(t)
	_, err := holder.Exec(t.Context(), "BEGIN; UPDATE t SET n = 0 WHERE id = 5")
	require.NoError(t, err)
	r = rehearse(t, db, on(addOne), rehearsal.Options{Batches: 1})
	require.False(t, r.Failed())
	require.Contains(t, about(r, "batch")[0], "warn: keys up to 1000: canceling statement due to lock timeout")
	require.Nil(t, r.Measured)
	_, err = holder.Exec(t.Context(), "ROLLBACK")
	require.NoError(t, err)
	untouched(t, db)
}

func TestBatchesThatTakeTooLong(t *testing.T) {
	t.Parallel()
	db := rows(t, 1000)
	opts := options(t, db)
	opts.Settings.StatementTimeout = time.Second
	c := on("UPDATE t SET n = n + 1 WHERE :range AND pg_sleep(0.002) IS NOT NULL")
	r, err := executor.Rehearse(t.Context(), opts, c)
	require.NoError(t, err)
	defer r.Close(t.Context())
	report, err := rehearsal.Run(t.Context(), r, c, rehearsal.Options{Batches: 2, Size: 1000})
	require.NoError(t, err)
	require.Contains(t, about(report, "batch")[0], "warn: keys up to 1000: canceling statement due to statement timeout")
	require.Len(t, report.Batches, 2)
	require.Equal(t, int64(100), report.Batches[1].Keys)
	require.Nil(t, report.Batches[1].Failure)
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	db := rows(t, 10)
	db.Exec(t, "CREATE TABLE keyless (n int)")
	for want, c := range map[string]control.Candidate{
		`table nowhere does not exist`:     {Work: "sql", Table: "nowhere"},
		`has no primary key`:               {Work: "sql", Table: "keyless", Arguments: on(addOne).Arguments},
		`unknown argument "x"`:             {Work: "sql", Table: "t", Arguments: json.RawMessage(`{"x": 1}`)},
		`column "m" of relation "t"`:       on("UPDATE t SET m = 1 WHERE :range"),
		`unknown work "sgl", did you mean`: {Work: "sgl", Table: "t"},
		`no placeholder, so every batch`:   on("UPDATE t SET n = 1"),
		`min_value 9 is above max_value 3`: {Work: "sql", Table: "t", Arguments: on(addOne).Arguments, MinValue: new("9"), MaxValue: new("3")},
		`has no index that finds the rows`: {Work: "sql", Table: "t", Arguments: on(addOne).Arguments, Strategy: "null", Columns: new("n")},
		`needs one column in column_name`:  {Work: "sql", Table: "t", Arguments: on(addOne).Arguments, Strategy: "null"},
		`table t has no column "nothing"`:  {Work: "sql", Table: "t", Arguments: on(addOne).Arguments, Columns: new("nothing")},
	} {
		_, err := try(t, db, c, rehearsal.Options{})
		require.ErrorContains(t, err, strings.TrimPrefix(want, "table t "))
		require.True(t, executor.Hopeless(err), want)
	}
}
