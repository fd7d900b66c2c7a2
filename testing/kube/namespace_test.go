package kube_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// namespace is a test's own part of the cluster.
type namespace struct {
	*rig
	t    *testing.T
	name string
}

// newNamespace makes a namespace in which only restricted pods may run. It goes away with the test.
func newNamespace(t *testing.T, name string) *namespace {
	t.Helper()
	n := &namespace{rig: cluster(t), t: t, name: "test-" + name}
	n.kubectl(t, "", "delete", "namespace", n.name, "--ignore-not-found", "--wait")
	n.restricted(n.name)
	t.Cleanup(n.close)
	return n
}

// restrict makes a namespace, if there is none, and refuses pods that are not restricted.
func (r *rig) restrict(t *testing.T, name string) {
	t.Helper()
	r.kubectl(t, fmt.Sprintf(`{apiVersion: v1, kind: Namespace, metadata: {name: %s, labels: {
  pod-security.kubernetes.io/enforce: restricted, pod-security.kubernetes.io/warn: restricted}}}`, name), "apply", "--server-side", "--force-conflicts", "-f", "-")
}

func (n *namespace) restricted(name string) {
	n.t.Helper()
	n.restrict(n.t, name)
	n.eventually("its service account", func() bool {
		return strings.Contains(n.kubectl(n.t, "", "-n", name, "get", "serviceaccounts", "-o", "name"), "/default")
	})
}

func (n *namespace) close() {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(n.t.Context()), patience)
	defer cancel()
	if n.t.Failed() {
		n.dump(ctx)
	}
	// Nobody's shutdown is waited for but in the tests that are about it.
	_, _, _ = n.program(ctx, "", "kubectl", "-n", n.name, "delete", "jobs,deployments,pods", "--all", "--wait=false", "--grace-period=1")
	_, stderr, err := n.program(ctx, "", "kubectl", "delete", "namespace", n.name, "--wait=false")
	if err != nil {
		n.t.Errorf("delete namespace: %v: %s", err, stderr)
	}
}

// dump logs what there is, for a test that has failed.
func (n *namespace) dump(ctx context.Context) {
	for _, args := range [][]string{
		{"get", "pods,jobs,deployments", "-o", "wide"},
		{"get", "events", "--sort-by", ".lastTimestamp"},
		{"logs", "--selector", "app.kubernetes.io/name", "--all-containers", "--prefix", "--tail", "60", "--ignore-errors"},
	} {
		stdout, stderr, _ := n.program(ctx, "", "kubectl", append([]string{"-n", n.name}, args...)...)
		n.t.Logf("kubectl %s\n%s%s", strings.Join(args, " "), stdout, stderr)
	}
}

// eventually waits for something to become true.
func (n *namespace) eventually(what string, is func() bool) {
	n.t.Helper()
	n.within(patience, what, is)
}

func (n *namespace) within(long time.Duration, what string, is func() bool) {
	n.t.Helper()
	deadline := time.NewTimer(long)
	defer deadline.Stop()
	tick := time.NewTicker(pace)
	defer tick.Stop()
	for !is() {
		select {
		case <-tick.C:
		case <-deadline.C:
			require.FailNow(n.t, "not within "+long.String()+": "+what)
		case <-n.t.Context().Done():
			require.FailNow(n.t, "the test has ended before: "+what)
		}
	}
}

// throughout looks again and again for so long whether something holds.
func (n *namespace) throughout(long time.Duration, what string, is func() bool) {
	n.t.Helper()
	deadline := time.NewTimer(long)
	defer deadline.Stop()
	tick := time.NewTicker(pace)
	defer tick.Stop()
	for {
		require.True(n.t, is(), what)
		select {
		case <-tick.C:
		case <-deadline.C:
			return
		}
	}
}

// apply applies manifests; a warning is an error.
func (n *namespace) apply(manifests string) string {
	n.t.Helper()
	return n.kubectl(n.t, manifests, "--warnings-as-errors", "apply", "-f", "-", "-n", n.name)
}

func (n *namespace) do(args ...string) string {
	n.t.Helper()
	return n.kubectl(n.t, "", append([]string{"-n", n.name}, args...)...)
}

// render renders an overlay on what is shipped: text is a kustomization, in which the word deploy stands for
// deploy/kubernetes, with further files.
func (n *namespace) render(text string, files map[string]string) string {
	n.t.Helper()
	dir := n.t.TempDir()
	shipped, err := filepath.Abs("../../deploy/kubernetes")
	require.NoError(n.t, err)
	real, err := filepath.EvalSymlinks(dir)
	require.NoError(n.t, err)
	relative, err := filepath.Rel(real, shipped)
	require.NoError(n.t, err)
	text = "namespace: " + n.name + "\n" + strings.ReplaceAll(text, "deploy/", relative+"/")
	require.NoError(n.t, os.WriteFile(filepath.Join(dir, "kustomization.yaml"), []byte(text), 0o600))
	for name, content := range files {
		require.NoError(n.t, os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600))
	}
	stdout, stderr, err := n.program(n.t.Context(), "", "kubectl", "kustomize", dir)
	require.NoError(n.t, err, "%s\n%s", text, stderr)
	require.Empty(n.t, stderr, "kustomize warns")
	return stdout
}

// only keeps the documents of a kind.
func only(manifests, kind string) string {
	documents := strings.Split(manifests, "\n---\n")
	return strings.Join(slices.DeleteFunc(documents, func(d string) bool { return !strings.Contains("\n"+d, "\nkind: "+kind+"\n") }), "\n---\n")
}

func (n *namespace) pods(selector string) []pod {
	n.t.Helper()
	return get[list[pod]](n.t, n.rig, "/api/v1/namespaces/"+n.name+"/pods?labelSelector="+selector).Items
}

func (n *namespace) jobs() []job {
	n.t.Helper()
	return get[list[job]](n.t, n.rig, "/apis/batch/v1/namespaces/"+n.name+"/jobs").Items
}

// job returns a Job by name, and whether it is there.
func (n *namespace) job(name string) (job, bool) {
	n.t.Helper()
	all := n.jobs()
	if i := slices.IndexFunc(all, func(j job) bool { return j.Metadata.Name == name }); i >= 0 {
		return all[i], true
	}
	return job{}, false
}

// waitJob waits until a Job is Complete, or Failed.
func (n *namespace) waitJob(name, how string) job {
	n.t.Helper()
	var last job
	n.eventually("job "+name+" is "+how, func() bool {
		last, _ = n.job(name)
		require.False(n.t, how == "Complete" && holds(last.Status.Conditions, "Failed"), "job %s has failed: %+v", name, last.Status)
		return holds(last.Status.Conditions, how)
	})
	return last
}

// secret holds a DATABASE_URL.
func (n *namespace) secret(name, url string) {
	n.t.Helper()
	n.apply(fmt.Sprintf("{apiVersion: v1, kind: Secret, metadata: {name: %s}, stringData: {DATABASE_URL: %q}}", name, url))
}
