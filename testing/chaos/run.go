package chaos

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/bbmd-dev/bbmd/internal/control"
	"github.com/bbmd-dev/bbmd/internal/pgserver"
	"github.com/bbmd-dev/bbmd/testing/invariants"
	"github.com/bbmd-dev/bbmd/testing/pgtest"
)

// Programs are the daemons.
type Programs struct {
	BBMD Program // `bbmd run`, for SQL
	Go   Program // a program that embeds bbmd and has the Work [GoWork], for Go
}

// run is a scenario that is played.
type run struct {
	Scenario

	tb       testing.TB
	server   *pgtest.Server
	db       *pgtest.Database
	watch    *watch
	replicas []*replica
	figures  *Figures
	crashes  []time.Time   // of the server
	story    []string      // what happened when
	world    *world        // that the server lives in; nil: the true one
	disk     string        // where the table lies; empty: with all others
	mounted  bool          // that is a file system of its own
	data     string        // where all others lie
	walDisk  string        // where the write-ahead log does; empty: with all others
	clock    time.Duration // how far the server's clock is off
}

// Run plays a scenario, and fails the test where work does not go on or an invariant
// does not hold. Faults happen one after the other, each while work is under way.
func Run(tb testing.TB, s Scenario, programs Programs) *Figures {
	tb.Helper()
	var around *world
	var options pgserver.Options
	if s.World {
		around = newWorld(tb)
		options.Binaries = around.binaries()
	}
	r := newRun(tb, s, options)
	r.world = around
	r.prepare()
	if s.World {
		r.inWorld()
	}
	r.hire(programs)
	tb.Cleanup(r.explain) // before the logs go away
	r.enqueue()
	for _, f := range s.Faults {
		r.underWay(f.After)
		r.tell("%s, pick %d", f.Kind, f.Pick)
		r.inject(f)
		r.tell("work goes on")
	}
	r.finish()
	r.judge()
	return r.figures
}

// newRun starts the server of a scenario.
func newRun(tb testing.TB, s Scenario, options pgserver.Options) *run {
	tb.Helper()
	r := &run{Scenario: s, tb: tb, figures: newFigures(s.Name())}
	// A deadlock is found before a daemon gives a lock up.
	options.Settings = map[string]string{"max_connections": "150", "deadlock_timeout": "400ms"}
	r.server = pgtest.NewServer(tb, options)
	r.db = r.server.NewEmpty(tb)
	r.watch = newWatch(tb, r.db.Superuser(tb).URL)
	return r
}

// prepareSQL makes table t, where a batch takes some time, and a row that is
// marked as odd fails its batch. So that the table lasts for all faults, however
// long daemons take to start here, a batch takes the longer the more jobs there are beyond
// those that chaos.pace allows. While a single row is tried alone all is slow, and for as long as it is
// held, but no longer than a statement may take, so that this can be seen.
const prepareSQL = `
CREATE TABLE t (id %[1]s PRIMARY KEY, n int NOT NULL DEFAULT 0, odd boolean NOT NULL DEFAULT false);
CREATE SCHEMA chaos;
CREATE TABLE chaos.pace (seconds float8 NOT NULL, allowed bigint NOT NULL, held boolean NOT NULL DEFAULT false);
INSERT INTO chaos.pace VALUES (%[4]f, 0);
CREATE FUNCTION chaos.take_time() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_sleep(CASE WHEN chaos.single() THEN 0.1 ELSE least(seconds * (0.5 + random()) * (1 + greatest(0, chaos.claimed() - allowed) / 2), 1) END)
  FROM chaos.pace WHERE seconds > 0;
  FOR i IN 1..60 LOOP
    EXIT WHEN NOT (chaos.single() AND (SELECT held FROM chaos.pace));
    PERFORM pg_sleep(0.05);
  END LOOP;
  RETURN NULL;
END $$;
CREATE FUNCTION chaos.claimed() RETURNS bigint LANGUAGE sql AS $$
  SELECT coalesce(max(ordinal), 0) FROM bbm.batched_background_migration_jobs WHERE batched_background_migration_id = 1
$$;
CREATE FUNCTION chaos.single() RETURNS boolean LANGUAGE sql AS $$
  SELECT EXISTS (SELECT FROM bbm.batched_background_migration_jobs
    WHERE batched_background_migration_id = 1 AND careful AND batch_size = 1 AND (status = 'running'
      OR xmin = pg_current_xact_id()::xid)) -- a Work in SQL comes behind its fence, which has made the job finished
$$;
CREATE FUNCTION chaos.refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'row %% is odd', OLD.id USING ERRCODE = 'check_violation';
END $$;
INSERT INTO t SELECT %[2]s FROM generate_series(1, %[3]d) i;
CREATE TRIGGER take_time BEFORE UPDATE OF n ON t FOR EACH STATEMENT EXECUTE FUNCTION chaos.take_time();
CREATE TRIGGER refuse BEFORE UPDATE OF n ON t FOR EACH ROW WHEN (OLD.odd) EXECUTE FUNCTION chaos.refuse();
CREATE INDEX ON invariants.job_events (at);
ANALYZE t`

func (r *run) prepare() {
	r.tb.Helper()
	if err := control.Install(r.tb.Context(), r.db.Conn(r.tb), control.DefaultSchema); err != nil {
		r.tb.Fatal(err)
	}
	invariants.Record(r.tb, r.db)
	key := "i * 3" // gaps
	if r.Key == UUID {
		key = fmt.Sprintf("md5(i || ' %d')::uuid", r.Seed)
	}
	r.db.Exec(r.tb, fmt.Sprintf(prepareSQL, r.Key, key, r.Rows, 0.004*float64(r.Workers)))
}

// allow lets so many more jobs be claimed before batches take longer and longer.
func (r *run) allow(jobs int) {
	r.tb.Helper()
	r.watch.exec("UPDATE chaos.pace SET allowed = chaos.claimed() + $1", jobs)
}

// hire starts the daemons.
func (r *run) hire(programs Programs) {
	r.tb.Helper()
	program := programs.BBMD
	if r.Work == Go {
		program = programs.Go
	}
	for i := range r.Replicas {
		url := r.db.URL
		var between *proxy
		if r.Network {
			between, url = newProxy(r.tb, url)
		}
		daemon := newReplica(r.tb, fmt.Sprintf("r%d", i+1), url, program, r.PerDaemon)
		daemon.proxy = between
		daemon.start()
		r.replicas = append(r.replicas, daemon)
	}
}

// GoWork is the name of the Work that [Programs] need for Go.
const GoWork = "chaos_count"

func (r *run) enqueue() {
	r.tb.Helper()
	work, arguments := GoWork, "{}"
	if r.Work == SQL {
		work, arguments = "execute_sql", `{"sql": "UPDATE public.t SET n = n + 1 WHERE :range"}`
	}
	target := "0"
	if r.Sized {
		target = "10ms"
	}
	setAside := r.Count(func(k FaultKind) bool { return k == SetAside || k == KillSingle })
	// One attempt, so that a row which fails fails the migration at once.
	attempts, rest := 1, "0"
	if r.World {
		attempts, rest = 10, "100ms"
	}
	r.watch.exec(`SELECT bbm.enqueue($1, 'public.t', $2, name => 'm', batch_size => $3, min_batch_size => $3 / 2, max_batch_size => $3,
		target_duration => $4, parallelism => $5, max_attempts => $6, max_quarantined => $7, pause => $8)`, work, arguments, r.BatchSize, target, r.Workers, attempts, setAside, rest)
}

// underWay waits until so many more jobs are finished, and others have begun.
func (r *run) underWay(jobs int) {
	r.tb.Helper()
	r.allow(jobs + 10)
	start := r.watch.progress()
	r.watch.reaches(fmt.Sprintf("%d more jobs finished, and work under way", jobs), func(p progress) bool {
		if p.Status == "finished" || p.Status == "failed" {
			r.tb.Fatalf("the migration is %s with faults left: %s", p.Status, p.Reason)
		}
		r.alive()
		return p.Finished >= start.Finished+jobs && p.Running > 0
	})
}

// finish lets the rest run, and restarts the server as soon as it says that it
// is finished: so it has to be afterwards.
func (r *run) finish() {
	r.tb.Helper()
	r.watch.exec("UPDATE chaos.pace SET seconds = 0")
	// However much is left, and however busy the machine, it does not take long.
	r.watch.exec("UPDATE bbm.batched_background_migrations SET pause = '0', target_duration = '0', batch_size = 2000, max_batch_size = 2000 WHERE name = 'm' AND status <> 'finished'")
	if r.World {
		r.watch.exec("ALTER TABLE t DROP COLUMN pad")
	}
	r.watch.until("the migration is finished", 2*patience, func() (bool, error) {
		var p progress
		err := r.watch.try(p.fields(), progressSQL)
		if p.Status == "failed" {
			r.tb.Fatalf("the migration has failed: %s", p.Reason)
		}
		return p.Status == "finished", err
	})
	r.restartServer()
	if p := r.watch.progress(); p.Status != "finished" {
		r.tb.Errorf("I5 (finished means durable) violated: after a restart of the server the migration is %s", p.Status)
	}
	r.alive()
	for _, daemon := range r.replicas {
		r.watch.until(daemon.name+" listens", patience, daemon.listens)
		daemon.stop()
	}
}

// alive fails the test when a daemon has ended by itself.
func (r *run) alive() {
	r.tb.Helper()
	for _, daemon := range r.replicas {
		daemon.running()
	}
}

// judge checks what is left.
func (r *run) judge() {
	r.tb.Helper()
	r.tell("the end")
	r.figures.end(r.watch)
	invariants.Check(r.tb, r.db, "m")
	invariants.Counted(r.tb, r.db, "m", "n")
	r.onlyOddAside()
	for _, daemon := range r.replicas {
		r.compareLog(daemon)
	}
}

// onlyOddAside checks that the rows in quarantine are those that fail by
// themselves, and not those that were on hand when workers died.
func (r *run) onlyOddAside() {
	r.tb.Helper()
	var innocent, forgotten int
	r.watch.row([]any{&innocent, &forgotten}, `SELECT count(*) FILTER (WHERE key IS NOT NULL AND odd IS NOT TRUE), count(*) FILTER (WHERE key IS NULL AND odd)
		FROM t FULL JOIN bbm.quarantine q ON q.key = t.id::text`)
	if innocent > 0 || forgotten > 0 {
		r.tb.Errorf("%d rows are in quarantine that do not fail, and %d are not that do", innocent, forgotten)
	}
}

// tell adds a line to the story of the run.
func (r *run) tell(format string, args ...any) {
	r.story = append(r.story, fmt.Sprintf("%7.2f s: ", time.Since(r.figures.began).Seconds())+fmt.Sprintf(format, args...))
}

// explain tells, when the run has failed, what there is to know of it.
func (r *run) explain() {
	if !r.tb.Failed() {
		return
	}
	r.tb.Logf("what happened:\n%s", strings.Join(r.story, "\n"))
	r.tb.Logf("sessions and jobs:\n%s", r.watch.describe())
	r.tb.Logf("rows that fail:\n%s", r.watch.describeOdd(r.Key))
	for _, daemon := range r.replicas {
		daemon.dump()
		r.tb.Logf("the log of %s ends:\n%s", daemon.name, daemon.logTail(40))
	}
}
