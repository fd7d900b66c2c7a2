package kube_test

import (
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/testing/pgtest"
)

// releases is an overlay of a service on what is shipped, as docs/kubernetes.md shows it. The waiting pods look again by
// themselves only every five minutes, so that what releases them sooner is an event.
const releases = `
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
resources: [deploy/job, web.yaml]
components: [deploy/components/wait-init]
images:
  - {name: bbmd, newName: rig.local/IMAGE, newTag: "TAG"}
replacements:
  - source:
      kind: Job
      fieldPath: spec.template.spec.containers.[name=migrate].image
      options: {delimiter: ":", index: 1}
    targets:
      - select: {kind: Job}
        fieldPaths: [metadata.name]
        options: {delimiter: "-", index: 2}
patches:
  - target: {kind: Deployment, name: web}
    patch: |-
      - {op: add, path: /spec/template/spec/initContainers/0/args/-, value: --progress=5m}
      - {op: add, path: /spec/template/spec/initContainers/0/args/-, value: --retry-grace=2s}
`

// service is a service with its migrations, in releases.
type service struct {
	*namespace
	db    *database
	image string
	text  string // of the overlay
}

// newService makes the namespace of a service, and the secrets with its two connection strings.
func newService(t *testing.T, name string) *service {
	t.Helper()
	db := newDatabase(t, cluster(t))
	n := newNamespace(t, name)
	s := &service{namespace: n, db: db, image: name, text: releases}
	n.secret("bbmd", s.db.owner)
	n.secret("bbmd-wait", s.db.waiter)
	return s
}

// release makes the image of a release, and returns its manifests.
func (s *service) release(tag string, migrations map[string]string) string {
	s.t.Helper()
	s.rig.image(s.t, "rig.local/"+s.image+":"+tag, migrations)
	return s.manifests(tag)
}

func (s *service) manifests(tag string) string {
	s.t.Helper()
	web, err := os.ReadFile("testdata/web.yaml")
	require.NoError(s.t, err)
	return s.render(strings.NewReplacer("IMAGE", s.image, "TAG", tag).Replace(s.text), map[string]string{"web.yaml": string(web)})
}

// web returns the pods of a release of the service.
func (s *service) web(tag string) []pod {
	s.t.Helper()
	return slices.DeleteFunc(s.pods("app.kubernetes.io/name=web"), func(p pod) bool { return !p.of("rig.local/" + s.image + ":" + tag) })
}

// every waits until a release has so many pods, of which something is true.
func (s *service) every(tag string, many int, what string, is func(pod) bool) []pod {
	s.t.Helper()
	var last []pod
	s.eventually(what+": pods of release "+tag, func() bool {
		last = slices.DeleteFunc(s.web(tag), func(p pod) bool { return p.Metadata.DeletionTimestamp != "" })
		return len(last) == many && !slices.ContainsFunc(last, func(p pod) bool { return !is(p) })
	})
	return last
}

// steps are migrations of which the last one notes when it was at its end.
func steps(sql ...string) map[string]string {
	files := map[string]string{}
	for i, text := range sql {
		files[[]string{"00001_users.sql", "00002_orders.sql", "00003_items.sql"}[i]] = "-- +goose Up\n" + text + "\n"
	}
	return files
}

const (
	users = "CREATE TABLE users (id bigint PRIMARY KEY);\nCREATE TABLE marks (at timestamptz);\nCREATE TABLE doors ();\n"
	// mark is behind everything else of a migration. It commits later than that.
	mark = "INSERT INTO marks SELECT clock_timestamp();\n"
	// held goes on once there is a row in doors.
	held = "-- +goose StatementBegin\nDO $$ BEGIN WHILE NOT EXISTS (SELECT FROM doors) LOOP PERFORM pg_sleep(0.02); END LOOP; END $$;\n-- +goose StatementEnd\n"
)

// TestReleases follows a service through its releases: the first one, one whose migration fails, and the same, mended.
func TestReleases(t *testing.T) {
	t.Parallel()
	s := newService(t, "releases")

	// The Deployment comes before its Job.
	first := s.release("1", steps(users+"SELECT pg_sleep(1);\n"+mark))
	s.apply(only(first, "Deployment"))
	s.every("1", 3, "held", pod.held)
	s.eventually("three pods look at the database", func() bool { return s.listening() == 3 })
	s.apply(only(first, "Job"))
	s.waitJob("bbmd-migrate-1", "Complete")
	s.every("1", 3, "ready", pod.ready)
	s.requireReleased(3)

	// All of it once more is no change, and no error.
	require.NotRegexp(t, "created|configured", s.apply(first))

	// The finished Job of the release before lets nobody through.
	second := s.release("2", steps(users+"SELECT pg_sleep(1);\n"+mark, "ALTER TABLE nowhere ADD total bigint;"))
	s.apply(only(second, "Deployment"))
	waiting := s.every("2", 1, "held", pod.held)[0]
	finished, _ := s.job("bbmd-migrate-1")
	require.True(t, holds(finished.Status.Conditions, "Complete"))
	s.eventually("it says what it lacks", func() bool {
		return strings.Contains(s.do("logs", waiting.Metadata.Name, "-c", "wait-for-schema"), "the schema is at 1; 1 pending: 2")
	})

	// Its own Job fails: one attempt, for more do not help.
	s.apply(second)
	failed := s.waitJob("bbmd-migrate-2", "Failed")
	require.Equal(t, 1, failed.Status.Failed)
	require.True(t, slices.ContainsFunc(failed.Status.Conditions, func(c condition) bool { return c.Reason == "PodFailurePolicy" }), "%+v", failed.Status)
	s.requireDescribed(waiting.Metadata.Name)
	s.requireDescribed(s.pods("job-name=bbmd-migrate-2")[0].Metadata.Name)
	require.Len(t, s.web("1"), 3)
	s.every("1", 3, "ready all the while", pod.ready)

	// A Job that is mended lets the same pod through.
	mended := s.release("2b", steps(users+"SELECT pg_sleep(1);\n"+mark, "CREATE TABLE nowhere (id bigint);\nALTER TABLE nowhere ADD total bigint;"))
	s.apply(only(mended, "Job"))
	s.waitJob("bbmd-migrate-2b", "Complete")
	s.every("2", 3, "ready", pod.ready)
	s.eventually("the old pods are gone", func() bool { return len(s.web("1")) == 0 })
	require.True(t, slices.ContainsFunc(s.web("2"), func(p pod) bool { return p.Metadata.UID == waiting.Metadata.UID }), "the pod that waited is not among them")
}

// listening counts the sessions that wait.
func (s *service) listening() int {
	s.t.Helper()
	return pgtest.One[int](s.t, s.db.Database, "SELECT count(*)::int FROM pg_stat_activity WHERE datname = current_database() AND usename LIKE '%\\_wait' AND state = 'idle'")
}

// requireReleased asserts that so many sessions ended after the migration, by an event.
func (s *service) requireReleased(many int) {
	s.t.Helper()
	at := pgtest.One[time.Time](s.t, s.db.Database, "SELECT max(at) FROM marks")
	ended := pgtest.One[time.Time](s.t, s.db.Database, "SELECT max(finished_at) FROM bbm.runs")
	var after []time.Time
	s.eventually("waiting sessions end after the migration", func() bool {
		after = s.db.waits.endsAfter(at)
		return len(after) >= many
	})
	for _, end := range after {
		s.t.Logf("a waiting pod was released %v after the last statement of the migration, %v after the run", end.Sub(at).Round(time.Millisecond/10), end.Sub(ended).Round(time.Millisecond/10))
	}
	require.Less(s.t, slices.MaxFunc(after, time.Time.Compare).Sub(at), time.Minute, "not by the event")
}

// requireDescribed asserts that `kubectl describe` says what went wrong.
func (s *service) requireDescribed(name string) {
	s.t.Helper()
	var described string
	s.eventually("the SQL error is in kubectl describe pod "+name, func() bool {
		described = s.do("describe", "pod", name)
		return strings.Contains(described, `relation "nowhere" does not exist`)
	})
	require.Contains(s.t, described, "SQLSTATE 42P01")
	require.Contains(s.t, described, "00002_orders.sql")
	s.t.Logf("kubectl describe pod %s\n%s", name, described[strings.Index(described, "Message:"):min(len(described), strings.Index(described, "Message:")+400)])
}

// TestTheJobIsGone has the Job removed by its TTL: new pods look at the database.
func TestTheJobIsGone(t *testing.T) {
	t.Parallel()
	s := newService(t, "ttl")
	s.text += "  - target: {kind: Job}\n    patch: |-\n      - {op: replace, path: /spec/ttlSecondsAfterFinished, value: 1}\n"
	s.apply(s.release("1", steps(users+mark)))
	s.eventually("the Job has come and gone", func() bool {
		_, there := s.job("bbmd-migrate-1")
		return !there && pgtest.One[bool](t, s.db.Database, "SELECT to_regclass('bbm.runs') IS NOT NULL")
	})
	s.every("1", 3, "ready", pod.ready)
	s.do("scale", "deployment/web", "--replicas=4")
	s.every("1", 4, "ready", pod.ready)
	require.Empty(t, s.jobs())
}

// TestRollBack applies the release before once more, whose Job is gone, as Flux and Argo CD do.
func TestRollBack(t *testing.T) {
	t.Parallel()
	s := newService(t, "rollback")
	first := s.release("1", steps(users+mark))
	s.apply(first)
	s.waitJob("bbmd-migrate-1", "Complete")
	s.apply(s.release("2", steps(users+mark, "CREATE TABLE orders ();")))
	s.waitJob("bbmd-migrate-2", "Complete")
	s.every("2", 3, "ready", pod.ready)

	s.do("delete", "job", "bbmd-migrate-1")
	s.apply(first)
	s.waitJob("bbmd-migrate-1", "Complete")
	s.every("1", 3, "ready on the newer database", pod.ready)
	require.Equal(t, []int64{1, 2}, pgtest.Column[int64](t, s.db.Database, "SELECT version_id FROM goose_db_version WHERE version_id > 0 ORDER BY id"))
}
