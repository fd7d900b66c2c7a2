package main_test

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/testing/manifests"
	"github.com/bbmd-dev/bbmd/testing/pgtest"
	renders "github.com/bbmd-dev/bbmd/testing/render"
)

// repository is where it begins, seen from here.
const (
	repository         = "../.."
	manifestsDirectory = repository + "/deploy/kubernetes"
)

// TestManifests renders everything that somebody might apply, and holds it
// against Kubernetes and the rules of this house.
func TestManifests(t *testing.T) {
	t.Parallel()
	texts := map[string][]byte{}
	for _, dir := range kustomizations(t) {
		texts[dir] = renderText(t, filepath.Join(repository, dir))
	}
	require.Contains(t, texts, "deploy/kubernetes/overlays/production")
	manifests.Strict(t, texts)
	for dir, text := range texts {
		all := decodeManifests(t, dir, text)
		checkManifests(t, dir, all)
		checkConfigurations(t, dir, all)
		if !strings.HasSuffix(dir, "/watch-job") {
			for _, kind := range []string{"Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding", "Secret"} {
				require.Empty(t, of(all, kind), dir)
			}
		}
	}
}

// kustomizations returns the directories that can be applied, from the
// repository's root; components can not.
func kustomizations(t *testing.T) (dirs []string) {
	t.Helper()
	for _, top := range []string{"deploy/kubernetes", "examples"} {
		require.NoError(t, fs.WalkDir(os.DirFS(repository), top, func(path string, entry fs.DirEntry, err error) error {
			if err != nil || entry.Name() != "kustomization.yaml" {
				return err
			}
			text, err := os.ReadFile(filepath.Join(repository, path))
			if bytes.Contains(text, []byte("\nkind: Kustomization\n")) {
				dirs = append(dirs, filepath.Dir(path))
			}
			return err
		}))
	}
	return dirs
}

// TestARelease renders the example for two releases.
func TestARelease(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	require.NoError(t, os.CopyFS(dir, os.DirFS(manifestsDirectory)))
	names := map[string]bool{}
	for _, tag := range []string{"0.0.0", "1.2.3"} {
		file := filepath.Join(dir, "example", "kustomization.yaml")
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(file, bytes.ReplaceAll(text, []byte("newTag: 0.0.0"), []byte("newTag: "+tag)), 0o600))
		all := render(t, filepath.Join(dir, "example"))
		for i := range all {
			require.Equal(t, "shop", all[i].Metadata.Namespace)
		}
		job := find(t, all, "Job", "bbmd-migrate-"+tag)
		names[job.Metadata.Name] = true
		web := find(t, all, "Deployment", "web").pod(t)
		require.Len(t, web.InitContainers, 1)
		require.Equal(t, job.pod(t).Containers[0].Image, web.InitContainers[0].Image, "who waits has the files of who migrates")
		require.Empty(t, find(t, all, "Deployment", "bbmd").pod(t).InitContainers)
	}
	require.Len(t, names, 2, "another release is another Job")
}

// TestManifestsRun runs what the manifests say, in the environment that they give.
func TestManifestsRun(t *testing.T) {
	t.Parallel()
	db := pgtest.NewEmpty(t)
	w := newWorkspace(t, map[string]string{"00001_users.sql": usersStep})
	read := func(path string) container {
		text, err := os.ReadFile(filepath.Join(manifestsDirectory, path))
		require.NoError(t, err)
		return decodeManifests(t, path, text)[0].pod(t).all()[0]
	}
	start := func(c container) *process {
		env := databaseURL(db) // from the Secret
		for _, e := range c.Env {
			env = append(env, e.Name+"="+strings.ReplaceAll(e.Value, "/migrations", w.dir))
		}
		return spawn(t, env, c.Args...)
	}
	wait := start(read("components/wait-init/wait.yaml"))
	wait.waitLog("no migrator seen")
	migrate := start(read("job/job.yaml")).result()
	require.Zero(t, migrate.code, migrate.err)
	require.Zero(t, wait.wait())
}

func render(t *testing.T, dir string) []manifest {
	t.Helper()
	return decodeManifests(t, dir, renderText(t, dir))
}

// renderText returns what would be applied.
func renderText(t *testing.T, dir string) []byte {
	t.Helper()
	text, err := renders.Kustomization(t.Context(), dir)
	require.NoError(t, err)
	return text
}

// renderWith renders the daemon and the Job with components, by their paths in
// deploy/kubernetes.
func renderWith(t *testing.T, components ...string) []manifest {
	t.Helper()
	return decodeManifests(t, "it", componentsText(t, components...))
}

func componentsText(t *testing.T, components ...string) []byte {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.CopyFS(dir, os.DirFS(manifestsDirectory)))
	text := "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources: [../base, ../job]\ncomponents:\n  - ../" +
		strings.Join(components, "\n  - ../") + "\n"
	overlay := filepath.Join(dir, "it")
	require.NoError(t, os.Mkdir(overlay, 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(overlay, "kustomization.yaml"), []byte(text), 0o600))
	return renderText(t, overlay)
}
