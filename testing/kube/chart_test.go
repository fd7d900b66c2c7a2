package kube_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// helm runs helm in the namespace.
func (s *service) helm(args ...string) (string, error) {
	s.t.Helper()
	stdout, stderr, err := s.program(s.t.Context(), "", "helm", append([]string{"-n", s.name}, args...)...)
	return stdout + stderr, err
}

// TestChart installs, upgrades, rolls back and uninstalls the chart.
func TestChart(t *testing.T) {
	t.Parallel()
	s := newService(t, "chart")
	good := steps(users + mark)
	s.rig.image(t, "rig.local/chart:1.0.0", good)
	s.rig.image(t, "rig.local/chart:1.1.0", steps(users+mark, "CREATE TABLE orders ();"))
	s.rig.image(t, "rig.local/chart:1.2.0", steps(users+mark, "CREATE TABLE orders ();", "ALTER TABLE nowhere ADD total bigint;"))
	to := func(command, tag string, more ...string) (string, error) {
		args := []string{
			command, "shop", "../../deploy/helm/bbmd", "--wait", "--wait-for-jobs", "--timeout", "3m",
			"--set", "image.repository=rig.local/chart", "--set", "image.tag=" + tag, "--set", "daemon.terminationGracePeriodSeconds=5",
		}
		return s.helm(append(args, more...)...)
	}
	must := func(out string, err error) {
		t.Helper()
		require.NoError(t, err, out)
	}
	must(to("install", "1.0.0"))
	first := s.daemon("of 1.0.0, ready", pod.ready)
	require.True(t, first.of("rig.local/chart:1.0.0"))
	must(to("upgrade", "1.1.0"))
	s.daemon("of 1.1.0, ready", func(p pod) bool { return p.ready() && p.of("rig.local/chart:1.1.0") })
	require.Len(t, s.jobs(), 1, "the Job of the release before is gone")

	// As a hook, a migration that fails ends the upgrade before anything else has changed.
	out, err := to("upgrade", "1.2.0", "--set", "migrate.hook=true")
	require.Error(t, err, out)
	require.Contains(t, out, "pre-upgrade hooks failed")
	s.daemon("of 1.1.0, still ready", func(p pod) bool { return p.ready() && p.of("rig.local/chart:1.1.0") })
	require.Contains(t, s.do("describe", "pods", "-l", "app.kubernetes.io/component=migrate"), "SQLSTATE 42P01")

	must(s.helm("rollback", "shop", "1", "--wait", "--wait-for-jobs", "--timeout", "3m"))
	s.daemon("of 1.0.0 once more, on the newer database", func(p pod) bool { return p.ready() && p.of("rig.local/chart:1.0.0") })
	must(s.helm("uninstall", "shop", "--wait", "--timeout", "3m"))
	left := s.do("get", "deployments,services,configmaps,serviceaccounts,networkpolicies", "-o", "name")
	require.NotContains(t, strings.ReplaceAll(left, "configmap/shop-bbmd-migrate", ""), "shop", "Helm leaves what was a hook, and nothing else")
}
