package main_test

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	yamlv3 "go.yaml.in/yaml/v3"

	main "github.com/bbmd-dev/bbmd/cmd/bbmd"
	"github.com/bbmd-dev/bbmd/testing/pgtest"
)

const manifestsDirectory = "../../deploy/kubernetes"

// decode reads manifests strictly: a field or a kind that is not listed in manifest is an error.
func decodeManifests(t *testing.T, name string, text []byte) (all []manifest) {
	t.Helper()
	decoder := yamlv3.NewDecoder(bytes.NewReader(text))
	decoder.KnownFields(true)
	for {
		var m manifest
		err := decoder.Decode(&m)
		if errors.Is(err, io.EOF) {
			require.NotEmpty(t, all, name)
			return all
		}
		require.NoError(t, err, "%s: a field that is misspelt, or one that manifest does not list yet", name)
		known := map[string]string{
			"Deployment": "apps/v1", "Job": "batch/v1", "Service": "v1", "ServiceAccount": "v1", "ConfigMap": "v1",
			"Kustomization": "kustomize.config.k8s.io/v1beta1", "Component": "kustomize.config.k8s.io/v1alpha1",
		}
		require.Equal(t, known[m.Kind], m.APIVersion, "%s: %s is no kind that belongs here: above all there is no Role", name, m.Kind)
		all = append(all, m)
	}
}

// manifestFiles returns the manifests in the tree by path, but bbmd's own configuration.
func manifestFiles(t *testing.T) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	require.NoError(t, filepath.WalkDir(manifestsDirectory, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || filepath.Ext(path) != ".yaml" || entry.Name() == "bbmd.yaml" {
			return err
		}
		files[path], err = os.ReadFile(path)
		return err
	}))
	require.NotEmpty(t, files)
	return files
}

func TestManifests(t *testing.T) {
	t.Parallel()
	for path, text := range manifestFiles(t) {
		for _, m := range decodeManifests(t, path, text) {
			checkManifest(t, path, &m)
		}
	}
}

// TestManifestsTogether renders what belongs together, and checks what comes out.
func TestManifestsTogether(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("kubectl"); err != nil {
		t.Skip("SKIPPED: no kubectl on this machine: the kustomizations in deploy/kubernetes are not rendered")
	}
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
			checkManifest(t, "example", &all[i])
			require.Equal(t, "shop", all[i].Metadata.Namespace)
		}
		job := find(t, all, "Job", "bbmd-migrate-"+tag)
		names[job.Metadata.Name] = true
		web := find(t, all, "Deployment", "web").pod(t)
		require.Len(t, web.InitContainers, 1)
		require.Equal(t, job.pod(t).Containers[0].Image, web.InitContainers[0].Image, "who waits has the files of who migrates")
		require.False(t, *web.EnableServiceLinks)
		require.Empty(t, find(t, all, "Deployment", "bbmd").pod(t).InitContainers)
	}
	require.Len(t, names, 2, "another release is another Job")
	for _, one := range []string{"base", "job"} {
		require.NotEmpty(t, render(t, filepath.Join(dir, one)))
	}
}

// TestManifestsRun runs what the manifests say, in the environment that they give.
func TestManifestsRun(t *testing.T) {
	t.Parallel()
	db := pgtest.NewEmpty(t)
	w := newWorkspace(t, map[string]string{"00001_users.sql": usersStep})
	read := func(path string) []container {
		text, err := os.ReadFile(filepath.Join(manifestsDirectory, path))
		require.NoError(t, err)
		spec := decodeManifests(t, path, text)[0].pod(t)
		return slices.Concat(spec.InitContainers, spec.Containers)
	}
	start := func(c container) *process {
		env := databaseURL(db) // from the Secret
		for _, e := range c.Env {
			env = append(env, e.Name+"="+strings.ReplaceAll(e.Value, "/migrations", w.dir))
		}
		return spawn(t, env, c.Args...)
	}
	wait := start(read("components/wait-init/wait.yaml")[0])
	wait.waitLog("no migrator seen")
	migrate := start(read("job/job.yaml")[0]).result()
	require.Zero(t, migrate.code, migrate.err)
	require.Zero(t, wait.wait())
}

func render(t *testing.T, dir string) []manifest {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "kubectl", "kustomize", dir)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	cmd.Env = append(os.Environ(), "KUBECONFIG=/nonexistent")
	out, err := cmd.Output()
	require.NoError(t, err, stderr.String())
	return decodeManifests(t, dir, out)
}

func find(t *testing.T, all []manifest, kind, name string) *manifest {
	t.Helper()
	i := slices.IndexFunc(all, func(m manifest) bool { return m.Kind == kind && m.Metadata.Name == name })
	require.GreaterOrEqual(t, i, 0, "there is no %s %s", kind, name)
	return &all[i]
}

func checkManifest(t *testing.T, where string, m *manifest) {
	t.Helper()
	if m.Kind == "ServiceAccount" {
		require.False(t, *m.AutomountServiceAccountToken, where)
	}
	if m.Kind != "Deployment" && m.Kind != "Job" {
		return
	}
	pod := m.pod(t)
	patch := m.Metadata.Name == "any"
	if !patch {
		require.NotNil(t, pod.AutomountServiceAccountToken, "%s: %s", where, m.Metadata.Name)
		require.False(t, *pod.AutomountServiceAccountToken, "%s: no token", where)
		require.True(t, pod.SecurityContext.RunAsNonRoot, where)
		require.Equal(t, "RuntimeDefault", pod.SecurityContext.SeccompProfile.Type, where)
	}
	for _, c := range slices.Concat(pod.InitContainers, pod.Containers) {
		checkContainer(t, where+": "+c.Name, c, m)
	}
	if m.Kind == "Job" {
		checkJob(t, m)
	}
}

// checkContainer holds a container against the restricted profile, and against the command line that there is.
func checkContainer(t *testing.T, where string, c container, m *manifest) {
	t.Helper()
	s := c.SecurityContext
	require.NotNil(t, s.AllowPrivilegeEscalation, where)
	require.False(t, *s.AllowPrivilegeEscalation, where)
	require.True(t, s.ReadOnlyRootFilesystem, where)
	require.Equal(t, []string{"ALL"}, s.Capabilities.Drop, where)
	require.Empty(t, s.Capabilities.Add, where)
	require.NotEmpty(t, c.Resources.Requests, where)
	if !strings.HasPrefix(c.Image, "bbmd:") {
		return
	}
	cmd, args, err := main.Commands().Find(c.Args)
	require.NoError(t, err, where)
	require.NoError(t, cmd.ParseFlags(args), where)
	require.NoError(t, cmd.ValidateArgs(cmd.Flags().Args()), where)
	links := m.pod(t).EnableServiceLinks
	require.NotNil(t, links, where)
	require.False(t, *links, "%s: variables of a Service called bbmd are no keys", where)
	if c.LivenessProbe != nil {
		require.Equal(t, "/livez", c.LivenessProbe.HTTPGet.Path, "%s: whether a restart helps, and nothing else", where)
		require.Equal(t, "/readyz", c.ReadinessProbe.HTTPGet.Path, where)
	}
}

func checkJob(t *testing.T, m *manifest) {
	t.Helper()
	require.Equal(t, "Never", m.pod(t).RestartPolicy)
	require.Len(t, m.Spec.PodFailurePolicy.Rules, 2)
	disruption, final := m.Spec.PodFailurePolicy.Rules[0], m.Spec.PodFailurePolicy.Rules[1]
	require.Equal(t, "Ignore", disruption.Action, "the first rule that matches counts")
	require.Equal(t, "FailJob", final.Action)
	require.Equal(t, m.pod(t).Containers[0].Name, final.OnExitCodes.ContainerName)
	for _, code := range final.OnExitCodes.Values {
		require.Contains(t, main.ExitCodes(), code)
		require.NotContains(t, []int{0, 69, 75}, code, "another try is what that is for")
	}
}
