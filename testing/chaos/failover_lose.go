package chaos

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"time"
)

// loseThePrimary takes the primary away, promotes the standby, and waits until work goes on
// there. What is lost is compared with what may be.
func (r *failover) loseThePrimary() {
	r.tb.Helper()
	cut := time.Now()
	if !r.Synchronous && !r.Planned {
		r.standby.Detach(r.tb)
		r.tell("the standby receives nothing any more")
		r.underWay(10) // which is to be lost
	}
	dead := r.watch.owners(everybody)
	seen := r.finishedJobs()
	if r.Planned {
		if err := r.old.Stop(r.tb.Context()); err != nil {
			r.tb.Fatal(err)
		}
	} else {
		r.killOutright()
	}
	died := time.Now()
	r.figures.injected++
	r.tell("the primary is gone")
	r.lossOfLogs(cut, died)
	r.watchTheStandby()
	r.address.lead(r.tb, r.db.URL) // it moves before the standby takes writes, as it may
	r.awaitPromotion()
	r.standby.Promote(r.tb)
	promoted := time.Now()
	r.tell("the standby is promoted")
	r.compareWithSeen(seen, died)
	r.enqueueLater("catch_up")
	r.overcome(fmt.Sprintf("promotion (%s), %s", r.how(), r.byWhich()), injury{at: promoted, dead: dead, crashed: true})
	r.tell("work goes on, %s after the primary was gone", rounded(time.Since(died)))
	r.consistent()
	r.alive()
}

// killOutright kills every process of the primary, as the loss of its machine does.
func (r *failover) killOutright() {
	r.tb.Helper()
	first := r.old.PID()
	children, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", first, first))
	if err == nil {
		err = syscall.Kill(first, syscall.SIGKILL)
	}
	for child := range strings.FieldsSeq(string(children)) {
		var pid int
		if _, scanned := fmt.Sscan(child, &pid); scanned == nil {
			_ = syscall.Kill(pid, syscall.SIGKILL) // it may have ended with the first
		}
	}
	if err != nil { // not Linux
		r.tb.Logf("the primary stops at once instead: %v", err)
	}
	if err := r.old.Kill(); err != nil {
		r.tb.Fatal(err)
	}
}

// lossOfLogs notes that what daemons logged since the standby was cut off may be on no record.
func (r *run) lossOfLogs(from, to time.Time) {
	for at := from; at.Before(to); at = at.Add(lossWindow / 2) {
		r.crashes = append(r.crashes, at)
	}
	r.crashes = append(r.crashes, to)
}

// watchTheStandby has everything look at the standby from now on.
func (r *failover) watchTheStandby() {
	r.server, r.db = r.standby.Primary(), r.standby.Database(r.db.Name)
	r.watch.disconnect()
	r.watch.url = r.db.URL
}

// finishedJobs returns which jobs anybody may have seen finished.
func (r *failover) finishedJobs() []int64 {
	r.tb.Helper()
	var ids []int64
	r.watch.row([]any{&ids}, "SELECT array_agg(id) FROM bbm.batched_background_migration_jobs WHERE status = 'finished'")
	return ids
}

// compareWithSeen looks on the promoted standby for the jobs that were seen finished before the primary died.
func (r *failover) compareWithSeen(seen []int64, died time.Time) {
	r.tb.Helper()
	var lost int
	r.watch.row([]any{&lost}, `SELECT count(*) FROM unnest($1::bigint[]) seen (id)
		WHERE NOT EXISTS (SELECT FROM invariants.job_events WHERE job = seen.id AND new_status = 'finished' AND at <= $2)`, seen, died)
	r.tell("of %d jobs that were finished, %d are lost", len(seen), lost)
	switch {
	case (r.Synchronous || r.Planned) && lost > 0:
		r.tb.Errorf("I5 (finished means durable) violated: of %d jobs that were seen finished, %d are not, on a standby that has to have them", len(seen), lost)
	case !r.Synchronous && !r.Planned && lost == 0:
		r.tb.Error("nothing was lost: the test does not show what it should")
	}
}

// awaitPromotion starts the daemons that know the standby alone, which have to say
// what they wait for.
func (r *failover) awaitPromotion() {
	r.tb.Helper()
	for _, daemon := range r.successors {
		daemon.start()
		r.watch.until(daemon.name+" says that it waits for a primary", patience, func() (bool, error) {
			content, err := os.ReadFile(daemon.logPath)
			return strings.Contains(string(content), "hot standby"), err
		})
	}
	r.replicas = append(r.replicas, r.successors...)
}

func (r *failover) how() string {
	how := "asynchronous"
	if r.Synchronous {
		how = "synchronous"
	}
	if r.Planned {
		return how + ", planned"
	}
	return how + ", kill -9"
}

func (r *failover) byWhich() string {
	names := make([]string, len(r.Routes))
	for i, route := range r.Routes {
		names[i] = string(route)
	}
	return "by " + strings.Join(names, " and ")
}
