package chaos

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/bbmd-dev/bbmd/internal/control"
	"github.com/bbmd-dev/bbmd/internal/pgserver"
	"github.com/bbmd-dev/bbmd/testing/invariants"
	"github.com/bbmd-dev/bbmd/testing/pgtest"
)

// Release is a program of a certain age.
type Release struct {
	Program
	Version string // as its sessions show it
	Past    bool   // it is built from a commit of before, which knows less
}

// versions is a run in which one release replaces another.
type versions struct {
	*run

	earlier, later Release
}

// RunVersions lets an earlier release and a later one, whose control schema is a later one, too,
// work beside each other on one database: the control schema is upgraded while the
// earlier one works, the later one replaces it, both are killed, and it is
// replaced back. It fails the test where work does not go on, or an invariant does not hold.
func RunVersions(tb testing.TB, seed uint64, earlier, later Release) *Figures {
	tb.Helper()
	const jobs, batchSize, replicas = 1000, 10, 2
	cell := Cell{Key: BigInt, Work: SQL, Workers: 2, Replicas: replicas}
	r := &versions{earlier: earlier, later: later}
	r.run = &run{tb: tb, Scenario: Scenario{Cell: cell, Seed: seed, BatchSize: batchSize, PerDaemon: 1, Rows: jobs * batchSize}}
	r.figures = newFigures(earlier.Version + " beside " + later.Version)
	r.server = pgtest.NewServer(tb, pgserver.Options{})
	r.db = r.server.NewEmpty(tb)
	r.watch = newWatch(tb, r.db.Superuser(tb).URL)
	r.install()
	for i := range replicas {
		r.replicas = append(r.replicas, newReplica(tb, fmt.Sprintf("r%d", i+1), r.db.URL, earlier.Program, r.PerDaemon))
		r.becomes(i, earlier)
		r.replicas[i].start()
	}
	tb.Cleanup(r.explain) // before the logs go away
	r.enqueue()
	r.underWay(10)
	r.upgrade()
	r.underWay(10)
	r.replace(0, later)
	r.bothWork()
	r.skew()
	for i := range uint64(replicas) {
		r.inject(Fault{Kind: KillDaemon, Pick: i})
	}
	r.replace(0, earlier)
	r.underWay(5)
	r.replace(0, later)
	r.shutOut()
	r.replace(1, later)
	r.underWay(5)
	r.finish()
	r.judge()
	return r.figures
}

// install has the earlier release install what it needs.
func (r *versions) install() {
	r.tb.Helper()
	r.must(r.earlier, "init-control")
	invariants.Record(r.tb, r.db)
	r.db.Exec(r.tb, fmt.Sprintf(prepareSQL, r.Key, "i * 3", r.Rows, 0.004*float64(r.Workers)))
}

// becomes makes a daemon one of a release, from its next start on.
func (r *versions) becomes(i int, release Release) {
	daemon := r.replicas[i]
	daemon.program = release.Program
	if release.Past { // the signals of its throttle may have been others
		daemon.env = append(daemon.env, "BBMD_BACKGROUND_MIGRATIONS__THROTTLE={}")
	}
}

// replace stops a daemon cleanly and starts one of another release in its place.
func (r *versions) replace(i int, release Release) {
	r.tb.Helper()
	daemon := r.replicas[i]
	r.watch.until(daemon.name+" listens", patience, daemon.listens)
	at := time.Now()
	daemon.stop()
	r.becomes(i, release)
	daemon.start()
	r.watch.until(daemon.name+" listens", patience, daemon.listens)
	r.figures.took("one release in place of another, until it listens", time.Since(at))
	r.tell("%s is of version %s", daemon.name, release.Version)
}

// upgrade has the later release upgrade the control schema while the earlier one works.
func (r *versions) upgrade() {
	r.tb.Helper()
	before, epochs := r.installed(), r.watch.owners(everybody)
	began := time.Now()
	r.must(r.later, "init-control")
	took := time.Since(began)
	if after := r.installed(); after <= before {
		r.tb.Fatalf("the control schema was of version %d and is of version %d after an upgrade", before, after)
	}
	r.tell("the control schema is upgraded, in %s", rounded(took))
	r.figures.injected++
	r.overcome("upgrade of the control schema under load", injury{at: time.Now()})
	var pause float64
	r.watch.row([]any{&pause}, `SELECT coalesce(max(extract(epoch FROM gap)), 0)::float8 FROM (SELECT at - lag(at) OVER (ORDER BY at) AS gap FROM invariants.job_events
		WHERE new_status = 'finished' AND at BETWEEN $1::timestamptz - interval '1 second' AND clock_timestamp()) g`, began)
	r.figures.took("upgrade of the control schema, longest pause between two batches", time.Duration(pause*float64(time.Second)))
	r.figures.took("upgrade of the control schema, in all", took)
	if len(epochs) == 0 {
		r.tb.Error("nobody worked when the control schema was upgraded")
	}

	// The earlier release finds nothing to do, and takes nothing back.
	after := r.installed()
	if said := r.must(r.earlier, "init-control"); !strings.Contains(said, "up to date") || r.installed() != after {
		r.tb.Errorf("the earlier release was to leave the control schema as it is, and said: %s", said)
	}
}

func (r *versions) installed() (version int) {
	r.tb.Helper()
	r.watch.row([]any{&version}, "SELECT max(version) FROM bbm.versions")
	return version
}

// bothWork waits until each daemon has finished jobs that it has claimed itself.
func (r *versions) bothWork() {
	r.tb.Helper()
	r.allow(100)
	for _, daemon := range r.replicas {
		var mine []int32
		r.watch.until(daemon.name+" works", patience, func() (bool, error) {
			mine = append(mine, r.watch.owners(daemon.application())...)
			var finished int
			err := r.watch.try([]any{&finished}, "SELECT count(*) FROM invariants.job_events WHERE new_status = 'finished' AND old_owner = ANY ($1)", mine)
			return finished >= 5, err
		})
	}
	r.tell("both releases work")
}

// skew has both releases' doctors say that there are two.
func (r *versions) skew() {
	r.tb.Helper()
	for _, release := range []Release{r.earlier, r.later} {
		if release.Past {
			continue
		}
		said, _ := r.runs(release, "doctor") // what it warns of is another matter
		for _, version := range []string{"daemons of different versions are at work", r.earlier.Version, r.later.Version} {
			if !strings.Contains(said, version) {
				r.tb.Errorf("the doctor of version %s does not say %q: %s", release.Version, version, said)
			}
		}
		if newer := strings.Contains(said, "a newer bbmd has been here"); newer != (release.Version == r.earlier.Version) {
			r.tb.Errorf("the doctor of version %s: a newer bbmd has been here: %v", release.Version, newer)
		}
	}
}

// shutOut has a release upgrade the control schema which the earlier one cannot run
// beside: that one stops working, at once, and says why; the later one goes on.
func (r *versions) shutOut() {
	r.tb.Helper()
	r.bothWork()
	now := r.installed()
	at := time.Now()
	r.watch.exec("INSERT INTO bbm.versions (version, oldest_compatible) VALUES ($1, $2)", now+1, now)
	r.watch.exec("SELECT pg_notify('bbm_status', $1)", control.InstalledHint) // as Install does
	out := r.replicas[1]
	if r.earlier.Past { // it looks when it connects
		r.watch.exec("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'bbmd/listener'")
	}
	r.watch.until("the earlier release stops", patience, func() (bool, error) {
		var sessions int
		err := r.watch.try([]any{&sessions}, "SELECT count(*) FROM pg_stat_activity WHERE application_name = $1", "bbmd/"+out.name+"/m")
		return sessions == 0, err
	})
	r.figures.took("upgrade that shuts the earlier release out, until that has stopped", time.Since(at))
	r.underWay(10)
	if owners := r.watch.owners(out.application()); len(owners) > 0 {
		r.tb.Errorf("the earlier release works on a control schema that it does not know, as %v", owners)
	}
	if said, err := r.runs(r.earlier, "init-control"); err == nil || !strings.Contains(said, "newer") {
		r.tb.Errorf("the earlier release was to refuse the control schema, and said: %s", said)
	}
	if tail := out.logTail(100); !strings.Contains(tail, "control schema is newer than this bbmd") {
		r.tb.Errorf("%s does not say why it has stopped: %s", out.name, tail)
	}
}

// must runs a command of a release, which has to succeed, and returns what it said.
func (r *versions) must(release Release, args ...string) string {
	r.tb.Helper()
	said, err := r.runs(release, args...)
	if err != nil {
		r.tb.Fatalf("%s of version %s: %v: %s", args, release.Version, err, said)
	}
	return said
}

// runs runs a command of a release, and returns what it said.
func (r *versions) runs(release Release, args ...string) (string, error) {
	r.tb.Helper()
	ctx, cancel := context.WithTimeout(r.tb.Context(), 2*patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, release.Args[0], args...) //nolint:gosec // the test's own program
	cmd.Dir, cmd.Env = r.tb.TempDir(), []string{"DATABASE_URL=" + r.db.URL, "GORACE=atexit_sleep_ms=0"}
	endWithParent(cmd)
	output, err := cmd.CombinedOutput()
	if _, ended := errors.AsType[*exec.ExitError](err); err != nil && !ended {
		r.tb.Fatalf("run %s: %v", args, err)
	}
	return string(output), err
}
