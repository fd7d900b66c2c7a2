package main_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/internal/config"
	"github.com/bbmd-dev/bbmd/testing/manifests"
	renders "github.com/bbmd-dev/bbmd/testing/render"
)

const chart = repository + "/deploy/helm/bbmd"

// TestChart renders the chart with its own values and with those in its
// directory ci, and a service's chart that has it as a dependency.
func TestChart(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob(chart + "/ci/*-values.yaml")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	texts := map[string][]byte{
		"defaults": chartText(t, chart, renders.Release{}),
		"service":  chartText(t, serviceChart(t), renders.Release{Name: "shop"}),
	}
	for _, file := range files {
		texts[filepath.Base(file)] = chartText(t, chart, renders.Release{Name: "shop", Values: []string{file}})
	}
	manifests.Strict(t, texts)
	for name, text := range texts {
		all := decodeManifests(t, name, text)
		checkManifests(t, name, all)
		require.NotContains(t, string(text), "post-install", "pods wait for the Job, and Helm for the pods")
		for _, kind := range []string{"Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding", "Secret"} {
			require.Empty(t, of(all, kind), name)
		}
		for _, m := range of(all, "ConfigMap") {
			if text, ok := m.Data["bbmd.yaml"]; ok {
				checkChartConfiguration(t, name, text)
			}
		}
	}
}

func checkChartConfiguration(t *testing.T, where, text string) {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, "bbmd.yaml")
	require.NoError(t, os.WriteFile(file, []byte(strings.ReplaceAll(text, " /migrations", " "+dir)), 0o600))
	environ := []string{"DATABASE_URL=postgres://shop@db/shop", "AUTH_DATABASE_URL=postgres://a@db/a", "BILLING_DATABASE_URL=postgres://b@db/b"}
	_, err := config.Load(config.Sources{File: file, Environ: environ})
	require.NoError(t, err, where)
}

// serviceChart is the example, with the chart where `helm dependency build`
// puts it.
func serviceChart(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.CopyFS(dir, os.DirFS(repository+"/deploy/helm/example")))
	dependency := filepath.Join(dir, "charts", "bbmd")
	require.NoError(t, os.CopyFS(dependency, os.DirFS(chart)))
	return dir
}

func chartText(t *testing.T, dir string, release renders.Release) []byte {
	t.Helper()
	text, err := renders.Chart(t.Context(), dir, release)
	require.NoError(t, err, "%s %v", dir, release)
	return text
}

func chartManifests(t *testing.T, set ...string) []manifest {
	t.Helper()
	return decodeManifests(t, "chart", chartText(t, chart, renders.Release{Name: "shop", Set: set}))
}

func TestTheChartsJobIsCalledAfterItsContent(t *testing.T) {
	t.Parallel()
	name := func(set ...string) string {
		jobs := of(chartManifests(t, set...), "Job")
		require.Len(t, jobs, 1)
		return jobs[0].Metadata.Name
	}
	seen := map[string]string{name(): "the chart's own values"}
	for _, set := range []string{"image.tag=1.2.3", "config.log.level=debug", "migrations=/other", "migrate.timeout=30m", "database.file=true"} {
		n := name(set)
		require.NotContains(t, seen, n, "%s makes another Job than %s", set, seen[n])
		require.Regexp(t, `^shop-bbmd-migrate-[0-9a-f]{10}$`, n)
		seen[n] = set
	}
	for _, set := range []string{"daemon.replicas=3", "wait.timeout=5m", "networkPolicy.enabled=true", "dashboard.enabled=true", "migrate.ttlSecondsAfterFinished=60"} {
		require.Contains(t, seen, name(set), "%s is nothing that the Job does", set)
	}
}

func TestTheServicesPodsWaitForItsRelease(t *testing.T) {
	t.Parallel()
	all := decodeManifests(t, "service", chartText(t, serviceChart(t), renders.Release{Name: "shop"}))
	jobs := of(all, "Job")
	require.Len(t, jobs, 1)
	p := find(t, all, "Deployment", "shop-web").pod(t)
	require.Len(t, p.InitContainers, 1)
	require.Equal(t, jobs[0].pod(t).Containers[0].Image, p.InitContainers[0].Image, "who waits has the files of who migrates")
	require.Equal(t, "wait", p.InitContainers[0].Args[0])
}

func TestAHookIsNoPartOfTheRelease(t *testing.T) {
	t.Parallel()
	all := chartManifests(t, "migrate.hook=true")
	job, hooked := of(all, "Job")[0], find(t, all, "ConfigMap", "shop-bbmd-migrate")
	require.Equal(t, "pre-install,pre-upgrade", job.Metadata.Annotations["helm.sh/hook"])
	require.Equal(t, "pre-install,pre-upgrade", hooked.Metadata.Annotations["helm.sh/hook"], "what it mounts is there before")
	require.Empty(t, find(t, all, "ConfigMap", "shop-bbmd").Metadata.Annotations, "the daemon's stays where it is")
	require.NotEmpty(t, of(chartManifests(t, "daemon.replicas=2"), "PodDisruptionBudget"))
	require.Empty(t, of(chartManifests(t), "PodDisruptionBudget"), "a budget for one replica would hold up every drain")
}

func TestTheChartRefuses(t *testing.T) {
	t.Parallel()
	for _, set := range []string{
		"daemon.replica=2",
		"daemon.replicas=0",
		"daemon.replicas=many",
		"image.repository=",
		"image.digest=sha256:12",
		"image.pullPolicy=Sometimes",
		"database.key=",
		"wait.timeout=10",
		"wait.for={everything}",
		"migrate.waitFor={db}",
		"migrate.timeout=soon",
		"migrations=migrations",
		"service.port=0",
		"dashboard.secret=",
		"dashboard.hosts={https://bbmd.example.com}",
		"networkPolicy.ports=null,networkPolicy.ports={}",
		"daemon.resources.limits=null",
		"securityContext.privileged=true",
		"fullnameOverride=Shop_1",
	} {
		_, err := renders.Chart(t.Context(), chart, renders.Release{Set: strings.Split(set, ",")})
		require.ErrorContains(t, err, "at '", "%s is taken", set)
	}
}
