package chaos

import (
	"math/rand/v2"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/bbmd-dev/bbmd/internal/control"
	"github.com/bbmd-dev/bbmd/internal/pgserver"
	"github.com/bbmd-dev/bbmd/testing/invariants"
)

// Upheaval is something that somebody does to a table in the middle of its migration, and what is to become of that.
// In its statements @t stands for the table's name.
type Upheaval struct {
	Name   string
	Create string // of the table, with the columns id and n, and rows; empty: a plain one
	Key    string // its column_name; empty: the primary key
	Work   string // the statement; empty: the usual one
	Change string
	Fails  string // what the migration says of it, as a regular expression; empty: it goes on
	Mend   string // makes it go on after a retry; empty: it is cancelled
}

const (
	upheavalRows  = 20000 // in batches that small, and a rest after each, it lasts for minutes
	upheavalBatch = 10
)

// plainTable is the table of an upheaval that needs no other.
const plainTable = "CREATE TABLE @t (id bigint PRIMARY KEY, n int NOT NULL DEFAULT 0); INSERT INTO @t SELECT generate_series(1, @rows)"

// Upheavals returns all of them.
func Upheavals() []Upheaval {
	return []Upheaval{
		{Name: "nobody", Change: "SELECT"},
		{
			Name: "column_dropped", Create: plainTable + "; ALTER TABLE @t ADD step int NOT NULL DEFAULT 1", Work: "UPDATE public.@t SET n = n + step WHERE :range",
			Change: "ALTER TABLE @t DROP step", Fails: `column "step" does not exist; put back what is missing and retry`, Mend: "ALTER TABLE @t ADD step int NOT NULL DEFAULT 1",
		},
		{
			Name: "function_dropped", Create: plainTable + "; CREATE FUNCTION @t_next(int) RETURNS int LANGUAGE sql AS 'SELECT $1 + 1'", Work: "UPDATE public.@t SET n = public.@t_next(n) WHERE :range",
			Change: "DROP FUNCTION @t_next", Fails: `function public.@t_next\(integer\) does not exist; .*put back what is missing and retry`,
			Mend: "CREATE FUNCTION @t_next(int) RETURNS int LANGUAGE sql AS 'SELECT $1 + 1'",
		},
		{Name: "column_widened", Change: "ALTER TABLE @t ALTER n TYPE bigint"},
		{Name: "key_changed", Change: "ALTER TABLE @t ALTER id TYPE numeric", Fails: `the key of public.@t changed while the migration ran: id was bigint and is numeric; cancel the migration`},
		{Name: "key_widened", Change: "ALTER TABLE @t DROP CONSTRAINT @t_pkey, ADD PRIMARY KEY (id, n)", Fails: `the key of public.@t changed while the migration ran: it was \(id\) and is \(id, n\); cancel the migration`},
		{Name: "renamed", Change: "ALTER TABLE @t RENAME TO @t_aside", Fails: `table public.@t does not exist; create it, or correct table_name`, Mend: "ALTER TABLE @t_aside RENAME TO @t"},
		{Name: "dropped", Change: "DROP TABLE @t", Fails: `table public.@t does not exist`},
		{Name: "replaced", Change: "DROP TABLE @t; CREATE TABLE @t (id bigint PRIMARY KEY, n int NOT NULL DEFAULT 0)", Fails: `table public.@t was replaced while the migration ran .*; cancel the migration`},
		{Name: "truncated", Change: "TRUNCATE @t"},
		{
			Name: "index_dropped", Key: "id", Create: "CREATE TABLE @t (id bigint NOT NULL, n int NOT NULL DEFAULT 0); CREATE UNIQUE INDEX @t_key ON @t (id); INSERT INTO @t SELECT generate_series(1, @rows)",
			Change: "DROP INDEX @t_key", Fails: `no usable unique index on \(id\).*; CREATE UNIQUE INDEX CONCURRENTLY ON public.@t \(id\)`, Mend: "CREATE UNIQUE INDEX ON @t (id)",
		},
		{
			Name: "partitions", Create: `CREATE TABLE @t (id bigint PRIMARY KEY, n int NOT NULL DEFAULT 0) PARTITION BY RANGE (id);
				CREATE TABLE @t_1 PARTITION OF @t FOR VALUES FROM (0) TO (7000); CREATE TABLE @t_2 PARTITION OF @t FOR VALUES FROM (7000) TO (14000);
				CREATE TABLE @t_3 PARTITION OF @t FOR VALUES FROM (14000) TO (40000); INSERT INTO @t SELECT generate_series(1, @rows)`,
			Change: `ALTER TABLE @t DETACH PARTITION @t_2; CREATE TABLE @t_4 (LIKE @t INCLUDING ALL); INSERT INTO @t_4 SELECT generate_series(40001, 40100);
				ALTER TABLE @t ATTACH PARTITION @t_4 FOR VALUES FROM (40000) TO (50000)`,
		},
	}
}

// table is the upheaval's own, and its migration's name.
func (u Upheaval) table() string { return "u_" + u.Name }

// about writes a statement for the upheaval's table.
func (u Upheaval) about(statement string) string {
	return strings.NewReplacer("@t", u.table(), "@rows", strconv.Itoa(upheavalRows)).Replace(statement)
}

// RunUpheavals has a migration under way on each table, does to each what its upheaval is, in an order and at moments
// that the seed chooses, and fails the test where one does not end as it is to, keeps another from going on, or an
// invariant does not hold.
func RunUpheavals(tb testing.TB, seed uint64, programs Programs) *Figures {
	tb.Helper()
	all := Upheavals()
	cell := Cell{Key: BigInt, Work: SQL, Workers: 1, Replicas: 1}
	r := newRun(tb, Scenario{Cell: cell, Seed: seed, BatchSize: upheavalBatch, PerDaemon: len(all)}, pgserver.Options{})
	r.figures.name = "tables changed in the middle"
	if err := control.Install(tb.Context(), r.db.Conn(tb), control.DefaultSchema); err != nil {
		tb.Fatal(err)
	}
	invariants.Record(tb, r.db)
	for _, u := range all {
		create := u.Create
		if create == "" {
			create = plainTable
		}
		r.db.Exec(tb, u.about(create))
		r.db.Exec(tb, u.about("ANALYZE @t"))
		r.enqueueOn(u)
	}
	r.hire(programs)
	tb.Cleanup(r.explain)                                    // before the logs go away
	random := rand.New(rand.NewPCG(seed, hash("upheavals"))) //nolint:gosec // to be predictable is the point
	random.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	for _, u := range all {
		r.change(u, 3+random.IntN(20))
	}
	for _, u := range all {
		r.settle(u)
	}
	r.alive()
	r.replicas[0].stop()
	r.figures.end(r.watch)
	for _, u := range all {
		r.judgeUpheaval(u)
	}
	r.compareLog(r.replicas[0])
	return r.figures
}

// enqueueOn enqueues the migration of an upheaval. It rests after each batch, so that it is not through too soon.
func (r *run) enqueueOn(u Upheaval) {
	r.tb.Helper()
	work := u.Work
	if work == "" {
		work = "UPDATE public.@t SET n = n + 1 WHERE :range"
	}
	r.watch.exec(`SELECT bbm.enqueue('execute_sql', 'public.' || $1, jsonb_build_object('sql', $2::text), name => $1, column_name => nullif($4, ''), batch_size => $3,
		max_batch_size => 2000, target_duration => '0', max_quarantined => 1000, pause => '100ms')`, u.table(), u.about(work), upheavalBatch, u.Key)
}

// change does what the upheaval is when its migration has got on by so many jobs.
func (r *run) change(u Upheaval, jobs int) {
	r.tb.Helper()
	r.onceFinished(u, "is under way", jobs)
	r.watch.exec(u.about(u.Change))
	r.figures.injected++
	r.tell("%s, after %d jobs", u.Name, jobs)
}

// onceFinished waits until so many jobs of an upheaval's migration are finished.
func (r *run) onceFinished(u Upheaval, what string, jobs int) {
	r.tb.Helper()
	r.watch.until(u.Name+" "+what, patience, func() (bool, error) {
		var finished int
		err := r.watch.try([]any{&finished}, `SELECT count(*) FROM bbm.batched_background_migration_jobs j JOIN bbm.batched_background_migrations m
			ON m.id = j.batched_background_migration_id WHERE m.name = $1 AND j.status = 'finished'`, u.table())
		return err == nil && finished >= jobs, err
	})
}

// settle waits until the migration is as the upheaval leaves it, mends that, and lets the rest run.
func (r *run) settle(u Upheaval) {
	r.tb.Helper()
	if u.Fails != "" {
		said := r.endsAs(u, "failed")
		if want := u.about(u.Fails); !regexp.MustCompile(want).MatchString(said) {
			r.tb.Errorf("%s: the migration says %q, which does not match %q", u.Name, said, want)
		}
	}
	began := time.Now()
	switch {
	case u.Fails == "":
	case u.Mend == "":
		r.watch.exec("SELECT bbm.cancel($1)", u.table())
		return
	default:
		r.watch.exec(u.about(u.Mend))
		var finished int
		r.watch.row([]any{&finished}, `SELECT count(*) FROM bbm.batched_background_migration_jobs j JOIN bbm.batched_background_migrations m
			ON m.id = j.batched_background_migration_id WHERE m.name = $1 AND j.status = 'finished'`, u.table())
		r.watch.exec("SELECT bbm.retry($1)", u.table())
		r.onceFinished(u, "goes on", finished+1)
		r.figures.overcame("retry after "+u.Name, time.Since(began))
	}
	r.watch.exec("UPDATE bbm.batched_background_migrations SET pause = '0', batch_size = 2000 WHERE name = $1", u.table())
	r.endsAs(u, "finished")
}

// endsAs waits until the migration is over, and returns why.
func (r *run) endsAs(u Upheaval, wanted string) (reason string) {
	r.tb.Helper()
	var status string
	r.watch.until(u.Name+" is over", patience, func() (bool, error) {
		err := r.watch.try([]any{&status, &reason}, "SELECT status, coalesce(error_message, '') FROM bbm.batched_background_migrations WHERE name = $1", u.table())
		return status == "finished" || status == "failed", err
	})
	if status != wanted {
		r.tb.Fatalf("%s: the migration is %s instead of %s: %s", u.Name, status, wanted, reason)
	}
	return reason
}

// judgeUpheaval checks what is left of one.
func (r *run) judgeUpheaval(u Upheaval) {
	r.tb.Helper()
	invariants.Check(r.tb, r.db, u.table())
	var aside, splits, running int
	r.watch.row([]any{&aside, &splits, &running}, `SELECT (SELECT count(*) FROM bbm.quarantine WHERE batched_background_migration_id = m.id),
		count(*) FILTER (WHERE j.ordinal IS NULL), count(*) FILTER (WHERE j.status = 'running')
		FROM bbm.batched_background_migrations m LEFT JOIN bbm.batched_background_migration_jobs j ON j.batched_background_migration_id = m.id WHERE m.name = $1 GROUP BY m.id`, u.table())
	if aside+splits+running > 0 {
		r.tb.Errorf("%s: %d rows were set aside, %d batches split, and %d jobs run still", u.Name, aside, splits, running)
	}
	if u.Fails == "" || u.Mend != "" {
		invariants.Counted(r.tb, r.db, u.table(), "n")
	}
}
