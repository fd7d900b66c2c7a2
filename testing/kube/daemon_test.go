package kube_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/testing/pgtest"
)

// daemons is an overlay of the daemon. Its probes come more often than those that are shipped, so that a liveness
// which fails costs a restart within twenty seconds.
const daemons = `
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
resources: [deploy/base]
configMapGenerator:
  - {name: bbmd, behavior: replace, files: [bbmd.yaml]}
images:
  - {name: bbmd, newName: rig.local/IMAGE, newTag: "1"}
patches:
  - target: {kind: Deployment, name: bbmd}
    patch: |-
      - {op: replace, path: /spec/template/spec/containers/0/livenessProbe/periodSeconds, value: 1}
      - {op: add, path: /spec/template/spec/containers/0/livenessProbe/terminationGracePeriodSeconds, value: 1}
      - {op: replace, path: /spec/template/spec/containers/0/readinessProbe/periodSeconds, value: 1}
`

// steady is longer than a liveness that fails needs to cost a restart.
const steady = 25 * time.Second

// manifestsOf returns the manifests of a daemon with a configuration.
func (s *service) manifestsOf(config string) string {
	s.t.Helper()
	return s.render(strings.ReplaceAll(daemons, "IMAGE", s.image), map[string]string{"bbmd.yaml": config})
}

// start starts a daemon with migrations, and waits until it runs.
func (s *service) start(config string, migrations map[string]string) {
	s.t.Helper()
	s.rig.image(s.t, "rig.local/"+s.image+":1", migrations)
	s.apply(s.manifestsOf(config))
	s.daemon("it runs", func(p pod) bool { return p.container("bbmd").State.Running != nil })
}

// daemon waits until there is one pod of the daemon, of which something is true.
func (s *service) daemon(what string, is func(pod) bool) (p pod) {
	s.t.Helper()
	s.eventually("the daemon: "+what, func() bool {
		all := s.pods("app.kubernetes.io/component=daemon")
		if len(all) != 1 {
			return false
		}
		p = all[0]
		return is(p)
	})
	return p
}

// requireAlive asserts that the daemon is up, not ready, and not restarted, for as long as a liveness that fails would need.
func (s *service) requireAlive(why string) {
	s.t.Helper()
	s.daemon("it is not ready: "+why, func(p pod) bool { return !p.ready() })
	s.throughout(steady, "alive, and not ready: "+why, func() bool {
		p := s.pods("app.kubernetes.io/component=daemon")[0]
		return p.container("bbmd").RestartCount == 0 && p.container("bbmd").State.Running != nil && !p.ready()
	})
}

const migrating = "databases: {default: {schema: {migrations: /migrations}}}\n"

// TestLiveness has a migration that takes long, a database that is down, and a process that has stopped.
func TestLiveness(t *testing.T) {
	t.Parallel()
	s := newService(t, "liveness")
	s.start(migrating, steps(users, held+mark))
	s.eventually("the second migration runs", s.held)
	s.requireAlive("a migration is under way")
	s.db.Exec(t, "INSERT INTO doors DEFAULT VALUES")
	s.daemon("ready behind the migration", pod.ready)

	s.db.migrates.shut()
	s.requireAlive("the database is away")
	s.db.migrates.open(t)
	up := s.daemon("ready when it is back", pod.ready)
	require.Zero(t, up.container("bbmd").RestartCount)

	s.containerd(t, "tasks", "kill", "-s", "SIGSTOP", up.container("bbmd").id())
	s.daemon("started again, since the process had stopped", func(p pod) bool {
		return p.container("bbmd").RestartCount == 1 && p.ready()
	})
}

// TestStuckLoop has a daemon whose process responds, and whose event loop does not.
func TestStuckLoop(t *testing.T) {
	t.Parallel()
	s := newService(t, "stuck")
	program := filepath.Join(t.TempDir(), "stuck")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", program, "./stuck")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	out, err := build.CombinedOutput()
	require.NoError(t, err, "%s", out)
	s.imageOf(t, "rig.local/stuck:1", program, nil)
	s.apply(s.manifestsOf("log: {level: info}\n"))
	s.daemon("ready", pod.ready)

	s.db.Exec(t, "SET ROLE "+s.db.Name+"_owner; CREATE TABLE t (id bigint PRIMARY KEY, n int); INSERT INTO t VALUES (1, 1); SELECT bbm.enqueue('delete_rows', table_name => 'public.t', arguments => '{\"where\": \"n = 1\"}')")
	s.daemon("started again, since the loop is stuck", func(p pod) bool {
		return p.container("bbmd").RestartCount == 1 && p.ready()
	})
	require.Equal(t, "finished", pgtest.One[string](t, s.db.Database, "SELECT status FROM bbm.batched_background_migrations"))
	require.Contains(t, s.do("get", "events"), "Liveness probe failed: HTTP probe failed with statuscode: 503")
}
