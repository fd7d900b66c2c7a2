package kube_test

import (
	"context"
	"encoding/json"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

// kinds are those that a cluster has not by itself, from the modules that define them.
var kinds = []struct{ module, file string }{
	{"github.com/prometheus-operator/prometheus-operator@v0.85.0", "example/prometheus-operator-crd/monitoring.coreos.com_servicemonitors.yaml"},
	{"github.com/prometheus-operator/prometheus-operator@v0.85.0", "example/prometheus-operator-crd/monitoring.coreos.com_prometheusrules.yaml"},
	{"github.com/fluxcd/kustomize-controller@v1.7.3", "config/crd/bases/kustomize.toolkit.fluxcd.io_kustomizations.yaml"},
	{"github.com/argoproj/argo-cd/v3@v3.1.0", "manifests/crds/application-crd.yaml"},
}

// aside are warnings about what is meant: a release's tag has dots, and the Job is called after it.
var aside = regexp.MustCompile(`^Warning: metadata.name: this is used in Pod names and hostnames, .* \[must not contain dots\]$`)

// watches is the one example that asks Kubernetes, and says why it should not.
const watches = "examples/piefed/watch-job"

// document is as much of a manifest as it takes to judge it.
type document struct {
	Kind     string
	Metadata struct {
		Name, Namespace string
		Labels          map[string]string
	}
	AutomountServiceAccountToken *bool `yaml:"automountServiceAccountToken"`
	Spec                         struct {
		Template *struct {
			Spec struct {
				AutomountServiceAccountToken *bool `yaml:"automountServiceAccountToken"`
			}
		}
	}
}

// TestManifests has the server look at everything that is shipped, as if it was applied where only restricted pods may run.
func TestManifests(t *testing.T) {
	t.Parallel()
	n := newNamespace(t, "manifests")
	n.knowKinds()
	n.restrict(t, "default") // where what names no namespace would go
	made := map[string]bool{n.name: true, "default": true}
	for _, dir := range shipped(t, "kustomization.yaml") {
		text, err := os.ReadFile(filepath.Join(dir, "kustomization.yaml"))
		require.NoError(t, err)
		if regexp.MustCompile(`(?m)^kind: Component$`).Match(text) {
			n.judgeComponent(dir, made)
			continue
		}
		stdout, stderr, err := n.program(t.Context(), "", "kubectl", "kustomize", dir)
		require.NoError(t, err, "%s: %s", dir, stderr)
		require.Empty(t, stderr, dir)
		n.judge(dir, stdout, made)
	}
	for _, dir := range shipped(t, "Chart.yaml") {
		n.judgeChart(dir, made)
	}
}

// TestTheServerJudges shows that what would be wrong with manifests is told.
func TestTheServerJudges(t *testing.T) {
	t.Parallel()
	n := newNamespace(t, "judge")
	web, err := os.ReadFile("testdata/web.yaml")
	require.NoError(t, err)
	good := n.render("resources: [web.yaml]\n", map[string]string{"web.yaml": string(web)})
	stderr, err := n.dryRun(good)
	require.NoError(t, err, stderr)
	require.Empty(t, stderr)
	stderr, err = n.dryRun(strings.ReplaceAll(good, "replicas:", "replica:"))
	require.Error(t, err)
	require.Contains(t, stderr, ".spec.replica: field not declared in schema")
	stderr, err = n.dryRun(strings.ReplaceAll(good, "runAsNonRoot: true", "runAsNonRoot: false"))
	require.NoError(t, err)
	require.Contains(t, stderr, `Warning: would violate PodSecurity "restricted:latest": runAsNonRoot != true`)
}

// shipped returns the directories under deploy and examples that have such a file.
func shipped(t *testing.T, file string) (dirs []string) {
	t.Helper()
	for _, root := range []string{"../../deploy", "../../examples"} {
		require.NoError(t, filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
			if err == nil && entry.Name() == file {
				dirs = append(dirs, filepath.Dir(path))
			}
			return err
		}))
	}
	require.NotEmpty(t, dirs, file)
	return dirs
}

// knowKinds teaches the cluster the kinds of others.
func (n *namespace) knowKinds() {
	n.t.Helper()
	for _, kind := range kinds {
		cmd := exec.CommandContext(n.t.Context(), "go", "mod", "download", "-json", kind.module)
		cmd.Dir = n.t.TempDir() // the versions of another module do not matter here
		out, err := cmd.Output()
		require.NoError(n.t, err, "%s: %s", kind.module, out)
		var module struct{ Dir string }
		require.NoError(n.t, json.Unmarshal(out, &module))
		n.kubectl(n.t, "", "apply", "--server-side", "--force-conflicts", "-f", filepath.Join(module.Dir, kind.file))
	}
	n.kubectl(n.t, "", "wait", "--for=condition=Established", "crd", "--all", "--timeout=60s")
}

// judge has the server look at manifests.
func (n *namespace) judge(where, manifests string, made map[string]bool) {
	n.t.Helper()
	count := 0
	decoder := yaml.NewDecoder(strings.NewReader(manifests))
	for {
		var d document
		if err := decoder.Decode(&d); err != nil {
			require.ErrorContains(n.t, err, "EOF", where)
			break
		}
		count++
		n.judgeAlone(where, d)
		space := d.Metadata.Namespace
		if d.Kind == "Namespace" {
			space = d.Metadata.Name
		}
		if space != "" && !made[space] {
			made[space] = true
			n.restrict(n.t, space)
			n.t.Cleanup(func() { n.remove(space) })
		}
	}
	require.Positive(n.t, count, where)
	stderr, err := n.dryRun(manifests)
	require.NoError(n.t, err, "%s: %s", where, stderr)
	for line := range strings.Lines(stderr) {
		require.Regexp(n.t, aside, strings.TrimSpace(line), "%s: the server warns", where)
	}
	n.t.Logf("%s: %d objects", where, count)
}

// dryRun returns what the server says to manifests.
func (n *namespace) dryRun(manifests string) (stderr string, err error) {
	_, stderr, err = n.program(n.t.Context(), manifests, "kubectl", "apply", "--server-side", "--force-conflicts", "--dry-run=server", "--validate=strict", "-f", "-")
	return stderr, err
}

// judgeAlone looks at one manifest.
func (n *namespace) judgeAlone(where string, d document) {
	n.t.Helper()
	what := where + ": " + d.Kind + " " + d.Metadata.Name
	if strings.HasSuffix(filepath.ToSlash(where), watches) {
		return
	}
	require.NotRegexp(n.t, "^(Cluster)?Role(Binding)?$", d.Kind, "%s: nothing asks Kubernetes", what)
	if d.Kind == "Namespace" {
		require.Equal(n.t, "restricted", d.Metadata.Labels["pod-security.kubernetes.io/enforce"], what)
	}
	token := d.AutomountServiceAccountToken
	if d.Spec.Template != nil {
		token = d.Spec.Template.Spec.AutomountServiceAccountToken
	}
	if d.Kind == "ServiceAccount" || d.Spec.Template != nil {
		require.NotNil(n.t, token, what)
		require.False(n.t, *token, what)
	}
}

// remove removes a namespace that manifests name.
func (n *namespace) remove(name string) {
	if _, stderr, err := n.program(context.WithoutCancel(n.t.Context()), "", "kubectl", "delete", "namespace", name, "--wait=false", "--ignore-not-found"); err != nil {
		n.t.Logf("delete namespace %s: %v: %s", name, err, stderr)
	}
}

// judgeComponent looks at what a component makes of the daemon, the Job and a service.
func (n *namespace) judgeComponent(dir string, made map[string]bool) {
	n.t.Helper()
	inside, err := filepath.Rel("../../deploy/kubernetes", dir)
	require.NoError(n.t, err)
	if strings.HasPrefix(inside, "..") {
		return // of an example, which uses it
	}
	web, err := os.ReadFile("testdata/web.yaml")
	require.NoError(n.t, err)
	n.judge(dir, n.render("resources: [deploy/base, deploy/job, web.yaml]\ncomponents: [deploy/"+inside+"]\n", map[string]string{"web.yaml": string(web)}), made)
}

// judgeChart looks at a chart, with its own values and with each file of values in its ci.
func (n *namespace) judgeChart(shipped string, made map[string]bool) {
	n.t.Helper()
	charts := n.t.TempDir() // where the charts that one depends on may be put into it
	require.NoError(n.t, os.CopyFS(charts, os.DirFS(filepath.Dir(shipped))))
	dir := filepath.Join(charts, filepath.Base(shipped))
	stdout, stderr, err := n.program(n.t.Context(), "", "helm", "dependency", "update", "--skip-refresh", dir)
	require.NoError(n.t, err, "%s: %s%s", shipped, stdout, stderr)
	files, err := filepath.Glob(filepath.Join(dir, "ci", "*.yaml"))
	require.NoError(n.t, err)
	if _, err := os.Stat(filepath.Join(dir, "values.schema.json")); err == nil {
		files = append(files, n.everything())
	}
	for _, values := range append(files, filepath.Join(dir, "values.yaml")) {
		for _, args := range [][]string{{"lint", "--strict", dir, "-f", values}, {"template", "shop", dir, "--namespace", n.name, "-f", values}} {
			stdout, stderr, err := n.program(n.t.Context(), "", "helm", args...)
			require.NoError(n.t, err, "helm %s: %s%s", strings.Join(args, " "), stdout, stderr)
			if args[0] == "template" {
				n.judge(shipped+" with "+filepath.Base(values), stdout, made)
			}
		}
	}
}

// everything returns a file of values for bbmd's chart, with all that it can do.
func (n *namespace) everything() string {
	n.t.Helper()
	everything := filepath.Join(n.t.TempDir(), "everything.yaml")
	require.NoError(n.t, os.WriteFile(everything, []byte(`daemon: {replicas: 2}
migrate: {hook: true, waitFor: ["db:5432"], timeout: 30m}
database: {file: true}
networkPolicy: {enabled: true}
monitoring: {serviceMonitor: {enabled: true}, rules: {enabled: true}, dashboard: {enabled: true}}
`), 0o600))
	return everything
}
