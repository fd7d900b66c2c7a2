package chaos

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/bbmd-dev/bbmd/internal/control"
	"github.com/bbmd-dev/bbmd/testing/invariants"
)

// field is a migration of a storm, on a table that it has to itself or shares.
type field struct {
	table   string
	columns string // of the key, as they are defined; empty: another field makes the table
	key     string // their names
	values  string // of the key of row i
	share   int    // of the storm's rows the table has one in so many
	parts   string // of the table; empty: it has none
	workers int
	work    string
	args    string
	counter string // the column that the Work counts in
	after   string // the migration that it waits for
}

// fields are what is under way from the beginning. Each Work counts, and none is idempotent.
func fields() []field {
	const sql, counts = "execute_sql", `{"sql": "UPDATE public.@t SET @n = @n + 1 WHERE :range"}`
	return []field{
		{table: "plain", columns: "id bigint", key: "id", values: "i * 3", share: 2, workers: 2, work: sql, args: counts, counter: "n"},
		{table: "plain", key: "id", workers: 1, work: sql, args: counts, counter: "again"},
		{table: "random", columns: "id uuid", key: "id", values: "md5(i::text)::uuid", share: 1, workers: 2, work: GoWork, args: "{}", counter: "n"},
		{table: "pair", columns: "a int, b text", key: "a, b", values: "i / 7, md5(i::text)", share: 4, workers: 1, work: sql, args: counts, counter: "n"},
		{
			table: "parted", columns: "id bigint", key: "id", values: "i", share: 1, workers: 1, work: GoWork, args: "{}", counter: "n", parts: "CREATE TABLE @t_1 PARTITION OF @t FOR VALUES FROM (0) TO (700);" +
				"CREATE TABLE @t_2 PARTITION OF @t FOR VALUES FROM (700) TO (1400); CREATE TABLE @t_3 PARTITION OF @t FOR VALUES FROM (1400) TO (1000000);",
		},
		{table: "words", columns: "code text", key: "code", values: "md5(i::text)", share: 2, workers: 1, work: "backfill_column", args: `{"column": "n", "expression": "n + 1"}`, counter: "n", after: "pair_n"},
	}
}

// lateFields are so many that a user enqueues meanwhile.
func lateFields(n int) []field {
	all := make([]field, n)
	for i := range all {
		all[i] = fields()[0]
		all[i].table, all[i].share, all[i].workers = "late_"+strconv.Itoa(i+1), 10, 1
	}
	return all
}

func (f field) migration() string { return f.table + "_" + f.counter }

// about writes a statement for the field's table.
func (f field) about(statement string) string {
	return strings.NewReplacer("@t", f.table, "@n", f.counter, "@key", f.key).Replace(statement)
}

// create is the table, with rows of which those that are odd fail their batches.
func (f field) create(rows int) string {
	by := ""
	if f.parts != "" {
		by = "PARTITION BY RANGE (@key)"
	}
	return f.about(fmt.Sprintf(`
CREATE TABLE @t (%s, n int NOT NULL DEFAULT 0, again int NOT NULL DEFAULT 0, odd boolean NOT NULL DEFAULT false, PRIMARY KEY (@key)) %s;
%s
INSERT INTO @t (@key) SELECT %s FROM generate_series(1, %d) i;
CREATE TRIGGER refuse BEFORE UPDATE OF n, again ON @t FOR EACH ROW WHEN (OLD.odd) EXECUTE FUNCTION refuse();
ANALYZE @t`, f.columns, by, f.parts, f.values, rows/f.share))
}

// enqueue enqueues the migration, unless it is there. It rests after each batch, so that it lasts.
func (f field) enqueue() string {
	return fmt.Sprintf(`SELECT bbm.enqueue('%s', 'public.%s', '%s', name => '%[4]s', depends_on => array_remove(ARRAY['%s'], ''), batch_size => 10, max_batch_size => 2000,
		target_duration => '0', parallelism => %[6]d, max_attempts => 3, pause => '100ms')
		WHERE NOT EXISTS (SELECT FROM bbm.batched_background_migrations WHERE name = '%[4]s')`, f.work, f.table, f.about(f.args), f.migration(), f.after, f.workers)
}

// plant makes the tables, and enqueues a migration on each.
func (r *storm) plant() {
	r.tb.Helper()
	if err := control.Install(r.tb.Context(), r.db.Conn(r.tb), control.DefaultSchema); err != nil {
		r.tb.Fatal(err)
	}
	invariants.Record(r.tb, r.db)
	r.db.Exec(r.tb, "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION '"+oddRow+"' USING ERRCODE = 'check_violation'; END $$")
	for _, f := range append(fields(), r.late...) {
		if f.columns != "" {
			r.db.Exec(r.tb, f.create(r.rows))
		}
	}
	for _, f := range r.fields {
		r.insist(f.enqueue())
	}
}

// oddRow is what a batch says that has an odd row.
const oddRow = "a row is odd"

// underWay waits until every migration that can is under way.
func (r *storm) underWay() {
	r.tb.Helper()
	for _, daemon := range r.replicas {
		r.watch.until(daemon.name+" listens", patience, daemon.listens)
	}
	r.until("every migration is under way that waits for no other", func() (bool, error) {
		var begun int
		err := r.watch.try([]any{&begun}, "SELECT count(DISTINCT migration) FROM invariants.job_events WHERE new_status = 'finished'")
		return begun >= 4, err
	})
}

// until waits as [watch.until] does, starts the server whenever it has gone down, as whoever looks after one does,
// and takes no error for final.
func (r *storm) until(what string, done func() (bool, error)) {
	r.tb.Helper()
	var last error
	defer func() {
		if r.tb.Failed() {
			r.tb.Logf("the last error: %v", last)
		}
	}()
	r.watch.until(what, 2*patience, func() (ok bool, _ error) {
		if r.server.PID() == 0 {
			last = r.server.Restart(r.tb.Context())
			return false, nil
		}
		r.alive()
		ok, last = done()
		return ok && last == nil, nil
	})
}

// insist runs a statement until it succeeds, and more often than that if its success was not heard of.
func (r *storm) insist(sql string, args ...any) {
	r.tb.Helper()
	r.until(sql, func() (bool, error) {
		return true, r.watch.with(func(ctx context.Context, conn *pgx.Conn) error {
			_, err := conn.Exec(ctx, sql, args...)
			return err
		})
	})
}

// standing returns the last event up to now.
func (r *storm) standing() (since int64) {
	r.tb.Helper()
	r.until("the server answers", func() (bool, error) {
		return true, r.watch.try([]any{&since}, "SELECT coalesce(max(id), 0) FROM invariants.job_events")
	})
	return since
}

// amend has users put right what they did, and do what they could not.
func (r *storm) amend() {
	r.tb.Helper()
	for _, f := range r.fields {
		r.insist(f.about("ALTER TABLE IF EXISTS @t_aside RENAME TO @t"))
		r.insist(f.about("UPDATE @t SET odd = false WHERE odd"))
		r.insist(f.enqueue())
	}
	r.insist("SELECT bbm.resume(name) FROM bbm.batched_background_migrations WHERE status = 'paused'")
}

// laggards are migrations that do not go on, and wait for no other. Those that have failed of what was done to them are retried.
func (r *storm) laggards(since int64) (names []string, err error) {
	r.tb.Helper()
	var found []byte
	if err := r.watch.try([]any{&found}, `SELECT coalesce(jsonb_agg(jsonb_build_object('name', name, 'status', status, 'error', error_message)), '[]') FROM bbm.batched_background_migrations m
		WHERE status <> 'finished' AND NOT (status = 'active' AND (started_at IS NULL OR EXISTS (
			SELECT FROM bbm.batched_background_migrations o WHERE o.table_name = m.table_name AND o.status = 'running')))
		AND NOT (status = 'running' AND EXISTS (SELECT FROM invariants.job_events e WHERE e.id > $1 AND e.migration = m.id AND new_status = 'finished'))`, since); err != nil {
		return nil, err
	}
	var all []struct{ Name, Status, Error string }
	if err := json.Unmarshal(found, &all); err != nil {
		return nil, err
	}
	for _, m := range all {
		names = append(names, m.Name)
		if m.Status != "failed" {
			continue
		}
		if !strings.Contains(m.Error, oddRow) && !strings.Contains(m.Error, "does not exist") {
			r.tb.Fatalf("%s has failed of what nobody did to it: %s", m.Name, m.Error)
		}
		r.tell("%s has failed, and is retried: %s", m.Name, m.Error)
		r.insist("SELECT bbm.retry($1)", m.Name)
	}
	return names, nil
}

// agree checks, while work goes on, that rows and bookkeeping were lost or kept together.
func (r *storm) agree() {
	r.tb.Helper()
	for _, f := range r.fields {
		var found []string
		r.until("rows agree with jobs", func() (bool, error) {
			return true, r.watch.with(func(ctx context.Context, conn *pgx.Conn) (err error) {
				found, err = invariants.Miscounted(ctx, conn, f.migration(), f.counter)
				return err
			})
		})
		for _, v := range found {
			r.tb.Errorf("while work goes on: %s", v)
		}
	}
}

// over lets the rest run, and restarts the server as soon as all is finished: so it has to be afterwards.
func (r *storm) over() {
	r.tb.Helper()
	for _, f := range r.late {
		r.insist(f.enqueue())
	}
	r.fields, r.late = append(r.fields, r.late...), nil
	r.insist("UPDATE bbm.batched_background_migrations SET pause = '0', batch_size = 2000 WHERE status <> 'finished'")
	unfinished := func() (n int, err error) {
		err = r.watch.try([]any{&n}, "SELECT count(*) FROM bbm.batched_background_migrations WHERE status <> 'finished'")
		return n, err
	}
	r.until("all migrations are finished", func() (bool, error) {
		if _, err := r.laggards(0); err != nil {
			return false, err
		}
		n, err := unfinished()
		return n == 0, err
	})
	r.restartServer()
	r.until("all migrations are finished still", func() (bool, error) {
		n, err := unfinished()
		if err == nil && n > 0 {
			r.tb.Fatalf("I5 (finished means durable) violated: after a restart of the server %d migrations are not finished", n)
		}
		return true, err
	})
	for _, daemon := range r.replicas {
		r.watch.until(daemon.name+" listens", patience, daemon.listens)
		daemon.stop()
	}
	r.figures.end(r.watch)
}
