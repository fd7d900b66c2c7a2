package chaos

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/bbmd-dev/bbmd/internal/pgserver"
	"github.com/bbmd-dev/bbmd/testing/pgstandby"
	"github.com/bbmd-dev/bbmd/testing/pgtest"
)

// Route is how a daemon finds the primary.
type Route string

// The routes.
const (
	Hosts     Route = "both hosts, target_session_attrs=read-write"
	Address   Route = "an address that moves" // as DNS, a virtual IP or a Service does
	Successor Route = "the standby alone"     // where a daemon waits for the promotion
)

// Failover is a scenario in which a standby takes the primary's place.
type Failover struct {
	Name        string
	Synchronous bool    // commits wait for the standby, and batches commit synchronously
	Planned     bool    // the primary is stopped in order, and comes back as a standby; else it dies, and comes back as it was
	Routes      []Route // of the daemons
	Stream      bool    // events come from the write-ahead log
	Work        Work
}

// Failovers returns the failovers of a form.
func Failovers(form Form) []Failover {
	all := []Failover{
		{Name: "asynchronous", Routes: []Route{Hosts, Successor}, Work: SQL},
		{Name: "synchronous_switchover_stream", Synchronous: true, Planned: true, Routes: []Route{Address, Hosts}, Stream: true, Work: SQL},
	}
	if form == Long {
		all = append(all,
			Failover{Name: "synchronous", Synchronous: true, Routes: []Route{Hosts, Address}, Work: Go},
			Failover{Name: "asynchronous_stream", Routes: []Route{Address, Hosts, Successor}, Stream: true, Work: Go},
			Failover{Name: "asynchronous_switchover", Planned: true, Routes: []Route{Hosts, Address}, Work: Go},
			Failover{Name: "synchronous_address", Synchronous: true, Routes: []Route{Address}, Work: SQL},
		)
	}
	return all
}

// failover is a [Failover] that is played.
type failover struct {
	*run
	Failover

	programs   Programs
	old        *pgtest.Server // the primary at first
	standby    *pgstandby.Standby
	address    *address   // of [Address]
	successors []*replica // that start when the primary is gone
	before     string     // what there was on the old primary when it came back
}

// RunFailover plays a failover, and fails the test where work does not go on on the promoted
// standby, where something is lost that must not be, or where an invariant does not hold.
func RunFailover(tb testing.TB, f Failover, seed uint64, programs Programs) *Figures {
	tb.Helper()
	const jobs, batchSize = 600, 10
	cell := Cell{Key: BigInt, Work: f.Work, Workers: 2, Replicas: len(f.Routes)}
	r := &failover{Failover: f, programs: programs}
	r.run = &run{tb: tb, Scenario: Scenario{Cell: cell, Seed: seed, BatchSize: batchSize, PerDaemon: 2, Rows: jobs * batchSize}}
	r.figures = newFigures("failover " + f.Name)
	r.serve()
	for i, route := range f.Routes {
		daemon := r.engage(i, route)
		if route == Successor {
			r.successors = append(r.successors, daemon)
			continue
		}
		daemon.start()
		r.replicas = append(r.replicas, daemon)
	}
	tb.Cleanup(r.explain) // before the logs go away
	r.enqueue()
	r.underWay(10)
	r.loseThePrimary()
	r.underWay(5)
	r.comeBack()
	r.hearOnTheNewPrimary()
	r.finish()
	r.judge()
	r.leftAlone()
	return r.figures
}

// serve starts both servers. The database is not one of pgtest's, which would look for it
// on the old primary in the end.
func (r *failover) serve() {
	r.tb.Helper()
	const name = "app"
	r.old = pgtest.NewServer(r.tb, pgserver.Options{})
	(&pgtest.Database{URL: r.old.URL("postgres")}).Exec(r.tb, "CREATE DATABASE "+name)
	r.server, r.db = r.old, &pgtest.Database{Name: name, URL: r.old.URL(name)}
	r.watch = newWatch(r.tb, r.db.URL)
	r.prepare()
	r.db.Exec(r.tb, "CREATE TABLE later (id bigint PRIMARY KEY, n int NOT NULL DEFAULT 0); INSERT INTO later SELECT generate_series(1, 100)")
	r.standby = pgstandby.New(r.tb, r.old, "one", nil)
	r.address = newAddress(r.tb, r.db.URL)
	if r.Synchronous {
		r.db.Exec(r.tb, "ALTER SYSTEM SET synchronous_standby_names = 'one'")
		r.db.Exec(r.tb, "SELECT pg_reload_conf()")
		r.db.WaitFor(r.tb, "SELECT EXISTS (SELECT FROM pg_stat_replication WHERE sync_state = 'sync')")
	}
}

// engage returns a daemon that finds the primary by a route.
func (r *failover) engage(i int, route Route) *replica {
	r.tb.Helper()
	program := r.programs.BBMD
	if r.Work == Go {
		program = r.programs.Go
	}
	to := map[Route]string{
		Hosts:     bothHosts(r.tb, r.db.URL, r.standby.URL(r.db.Name)),
		Address:   r.address.url,
		Successor: r.standby.URL(r.db.Name),
	}[route]
	daemon := newReplica(r.tb, fmt.Sprintf("r%d", i+1), to, program, r.PerDaemon)
	if r.Synchronous {
		daemon.env = append(daemon.env, "BBMD_BACKGROUND_MIGRATIONS__SYNCHRONOUS_COMMIT=on")
	}
	if !r.Synchronous && !r.Planned {
		// Work that a standby which is cut off does not have is what is to be lost.
		daemon.env = append(daemon.env, `BBMD_BACKGROUND_MIGRATIONS__THROTTLE={"traffic": {"mode": "off"}, "replica_lag": {"missing_for": "0s"}}`)
	}
	if r.Stream {
		daemon.env = append(daemon.env, "BBMD_EVENTS=wal")
	}
	return daemon
}

// bothHosts is one URL for two servers, of which the one that takes writes is wanted.
func bothHosts(tb testing.TB, first, second string) string {
	tb.Helper()
	one, err := url.Parse(first)
	if err != nil {
		tb.Fatal("the primary's address is not a URL") // the error would show the password
	}
	two, err := url.Parse(second)
	if err != nil {
		tb.Fatal("the standby's address is not a URL")
	}
	return strings.Replace(first, one.Host, one.Host+","+two.Host, 1) + "&target_session_attrs=read-write"
}

// comeBack has the old primary come back: after a switchover as a standby, otherwise as it
// was, so that two servers take writes. Then every daemon has to connect anew.
func (r *failover) comeBack() {
	r.tb.Helper()
	if r.Planned {
		pgstandby.Rejoin(r.tb, r.old, r.standby)
		r.reconnect("the old primary is a standby")
		return
	}
	if err := r.old.Restart(r.tb.Context()); err != nil {
		r.tb.Fatal(err)
	}
	r.before = r.onTheOldPrimary()
	r.reconnect("two servers take writes")
}

// leftAlone checks that nobody has worked on the old primary since it came back.
func (r *failover) leftAlone() {
	r.tb.Helper()
	if r.Planned {
		return
	}
	if after := r.onTheOldPrimary(); after != r.before {
		r.tb.Errorf("somebody has written to the old primary, which came back: %s, then %s", r.before, after)
	}
}

// reconnect ends all sessions of daemons on the promoted server, and waits until work goes on there.
func (r *failover) reconnect(because string) {
	r.tb.Helper()
	i := injury{dead: r.watch.owners(everybody), at: time.Now()}
	r.watch.exec("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE $1", everybody)
	r.figures.injected++
	r.overcome("all sessions end, and "+because, i)
	r.tell("sessions ended while %s; work goes on", because)
}

// onTheOldPrimary tells apart whether a daemon has written there: each worker that begins takes an epoch.
func (r *failover) onTheOldPrimary() string {
	r.tb.Helper()
	old := &pgtest.Database{URL: r.old.URL(r.db.Name)}
	return pgtest.One[string](r.tb, old, `SELECT format('epoch %s, %s jobs, %s finished, %s rows', (SELECT last_value FROM bbm.owner_epoch), count(*),
		count(*) FILTER (WHERE status = 'finished'), (SELECT sum(n) FROM t)) FROM bbm.batched_background_migration_jobs`)
}

// hearOnTheNewPrimary enqueues a migration when all daemons are idle, where nothing but an
// event tells them of it.
func (r *failover) hearOnTheNewPrimary() {
	r.tb.Helper()
	r.watch.exec("UPDATE chaos.pace SET seconds = 0")
	r.ends("m")
	r.ends("catch_up")
	for _, daemon := range r.replicas {
		r.watch.until(daemon.name+" listens", patience, daemon.listens)
	}
	began := time.Now()
	r.enqueueLater("after")
	r.ends("after")
	r.figures.overcame("an event on the promoted server, of which idle daemons hear", time.Since(began))
}

// enqueueLater enqueues a migration of a small table.
func (r *failover) enqueueLater(name string) {
	r.tb.Helper()
	work, arguments := GoWork, "{}"
	if r.Work == SQL {
		work, arguments = "execute_sql", `{"sql": "UPDATE public.later SET n = n + 1 WHERE :range"}`
	}
	r.watch.exec("SELECT bbm.enqueue($1, 'public.later', $2, name => $3)", work, arguments, name)
}

// ends waits until a migration is finished.
func (r *failover) ends(name string) {
	r.tb.Helper()
	r.watch.until("migration "+name+" is finished", 2*patience, func() (bool, error) {
		var status string
		err := r.watch.try([]any{&status}, "SELECT status FROM bbm.batched_background_migrations WHERE name = $1", name)
		return status == "finished", err
	})
}
