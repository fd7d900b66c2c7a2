package kube_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/testing/pgtest"
)

// edit changes the daemon's configuration in the ConfigMap that its pod has mounted, as `kubectl edit` does.
func (s *service) edit(config string) {
	s.t.Helper()
	patch, err := json.Marshal(map[string]any{"data": map[string]string{"bbmd.yaml": config}})
	require.NoError(s.t, err)
	for name := range strings.Lines(s.do("get", "configmaps", "-o", "name")) {
		if strings.HasPrefix(name, "configmap/bbmd-") {
			s.do("patch", strings.TrimSpace(name), "--type=merge", "-p", string(patch))
			return
		}
	}
	require.FailNow(s.t, "there is no ConfigMap of the daemon")
}

// says waits for a message of the daemon.
func (s *service) says(p pod, message string) {
	s.t.Helper()
	s.eventually("the daemon says "+message, func() bool { return strings.Contains(s.do("logs", p.Metadata.Name), message) })
}

// rows says what is in the database.
func (s *service) rows() int {
	s.t.Helper()
	return pgtest.One[int](s.t, s.db.Database, "SELECT count(*)::int FROM users")
}

// recreations counts those that were done.
func (s *service) recreations() int {
	s.t.Helper()
	return pgtest.One[int](s.t, s.db.Database, "SELECT count(*)::int FROM bbm.runs WHERE action = 'recreate' AND outcome = 'finished'")
}

// TestRecreateInDevelopment has an edit of the ConfigMap recreate a database: once, by the pod that runs.
func TestRecreateInDevelopment(t *testing.T) {
	t.Parallel()
	s := newService(t, "development")
	development := migrating + "development_mode: true\n"
	s.start(development, steps(users))
	p := s.daemon("ready", pod.ready)
	s.db.Exec(t, "INSERT INTO users VALUES (1)")

	s.edit(development + "force_recreate: monday\n")
	s.eventually("the database is recreated", func() bool { return s.recreations() == 1 })
	again := s.daemon("ready again", pod.ready)
	require.Equal(t, p.Metadata.UID, again.Metadata.UID)
	require.Zero(t, again.container("bbmd").RestartCount)
	require.Zero(t, s.rows())

	// It is not done again: not by an edit of something else, and not by the new pod of a roll-out.
	s.db.Exec(t, "INSERT INTO users VALUES (2)")
	s.edit(development + "force_recreate: monday\nlog: {level: debug}\n")
	s.says(p, `"configuration reloaded","changed":["log.level"]`)
	s.apply(s.manifestsOf(development + "force_recreate: monday\nshutdown_grace: 10s\n"))
	s.daemon("a new pod is ready", func(next pod) bool { return next.Metadata.UID != p.Metadata.UID && next.ready() })
	require.Equal(t, 1, s.rows())
	require.Equal(t, 1, s.recreations())

	// A token that is new in a roll-out is done by the new pod.
	s.apply(s.manifestsOf(development + "force_recreate: tuesday\n"))
	s.eventually("the database is recreated", func() bool { return s.recreations() == 2 })
	require.Zero(t, s.rows())
}

// TestNoRecreateInProduction has the same edit refused.
func TestNoRecreateInProduction(t *testing.T) {
	t.Parallel()
	s := newService(t, "production")
	s.start(migrating, steps(users))
	p := s.daemon("ready", pod.ready)
	s.db.Exec(t, "INSERT INTO users VALUES (1)")

	// Without development mode the configuration is refused, and the old one stays in force.
	s.edit(migrating + "force_recreate: monday\n")
	s.says(p, "it drops databases, and development_mode is off")

	// In development mode, by mistake, the database refuses.
	s.db.Exec(t, "SELECT bbm.mark_production()")
	s.edit(migrating + "development_mode: true\nforce_recreate: monday\n")
	s.says(p, `"msg":"force_recreate refused"`)

	require.Equal(t, 1, s.rows())
	require.Zero(t, s.recreations())
	same := s.daemon("ready all the while", pod.ready)
	require.Equal(t, p.Metadata.UID, same.Metadata.UID)
	require.Zero(t, same.container("bbmd").RestartCount)
}
