package main_test

import (
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestOverlays(t *testing.T) {
	t.Parallel()
	overlay := func(name string) []manifest {
		return render(t, filepath.Join(manifestsDirectory, "overlays", name))
	}
	for name, replicas := range map[string]int{"bbmd-dev": 1, "bbmd-staging": 1, "bbmd": 2} {
		all := overlay(map[string]string{"bbmd-dev": "dev", "bbmd-staging": "staging", "bbmd": "production"}[name])
		namespace := find(t, all, "Namespace", name)
		require.Equal(t, "restricted", namespace.Metadata.Labels["pod-security.kubernetes.io/enforce"])
		require.Equal(t, replicas, find(t, all, "Deployment", "bbmd").Spec.Replicas)
		require.Len(t, of(all, "PodDisruptionBudget"), replicas-1, "a budget for one replica would hold up every drain")
	}
	require.Empty(t, of(overlay("dev"), "Job"), "the daemon migrates")
	production := overlay("production")
	find(t, production, "Job", "bbmd-migrate-0.0.0")
	for _, kind := range []string{"ServiceMonitor", "PrometheusRule", "NetworkPolicy"} {
		require.NotEmpty(t, of(production, kind), kind)
	}
	require.NotEmpty(t, find(t, production, "ConfigMap", "bbmd-dashboard").Data["bbmd.json"])
	cfg := loadConfiguration(t, "production", configuration(t, production), nil)
	require.Equal(t, "verify", string(cfg.Databases["default"].Schema.OnStart), "the Job migrates")
}

// TestWhatAppliesAgainAndAgain is about Flux and Argo CD, which would make a Job
// anew that has gone.
func TestWhatAppliesAgainAndAgain(t *testing.T) {
	t.Parallel()
	for component, annotation := range map[string]string{
		"flux":   "kustomize.toolkit.fluxcd.io/force",
		"argocd": "argocd.argoproj.io/sync-wave",
	} {
		all := renderWith(t, "components/"+component)
		job := find(t, all, "Job", "bbmd-migrate-0.0.0")
		require.Nil(t, job.Spec.TTLSecondsAfterFinished, component)
		require.NotEmpty(t, job.Metadata.Annotations[annotation], component)
		require.Empty(t, find(t, all, "Deployment", "bbmd").Metadata.Annotations[annotation], component)
		require.Contains(t, []string{"", "-2"}, find(t, all, "ServiceAccount", "bbmd").Metadata.Annotations[annotation], component)
	}
}

func TestPodsThatWatchTheJob(t *testing.T) {
	t.Parallel()
	all := render(t, filepath.Join(repository, "examples/piefed/watch-job"))
	jobs := of(all, "Job")
	require.Len(t, jobs, 1)
	require.Nil(t, jobs[0].Spec.TTLSecondsAfterFinished, "who watches it needs it")
	require.Empty(t, slices.Concat(of(all, "ClusterRole"), of(all, "ClusterRoleBinding")))
	for _, r := range find(t, all, "Role", "piefed-init-checker").Rules {
		require.Subset(t, []string{"get", "list", "watch"}, r.Verbs)
		if slices.Contains(r.Resources, "jobs") {
			require.Equal(t, []string{jobs[0].Metadata.Name}, r.ResourceNames, "this release's, and no other")
		}
	}
	for _, m := range of(all, "Deployment") {
		init := m.pod(t).InitContainers
		require.Len(t, init, 1)
		require.Equal(t, jobs[0].Metadata.Name, init[0].Env[0].Value)
		for _, c := range m.pod(t).Containers {
			for _, mount := range c.VolumeMounts {
				require.NotEqual(t, "token", mount.Name, "the application gets no token")
			}
		}
	}
}

func TestPiefedWaitsForTheDatabase(t *testing.T) {
	t.Parallel()
	all := render(t, filepath.Join(repository, "examples/piefed"))
	job := find(t, all, "Job", "bbmd-migrate-1.2.3").pod(t).Containers[0]
	require.Subset(t, job.Args, []string{"db:5432", "redis:6379"})
	require.Equal(t, "bbmd", job.EnvFrom[len(job.EnvFrom)-1].SecretRef.Name, "its DATABASE_URL counts")
	for _, name := range []string{"piefed-web", "piefed-worker"} {
		p := find(t, all, "Deployment", name).pod(t)
		require.Len(t, p.InitContainers, 1)
		require.Equal(t, job.Image, p.InitContainers[0].Image)
		require.Empty(t, p.ServiceAccountName)
	}
}
