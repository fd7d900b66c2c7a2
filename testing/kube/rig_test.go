package kube_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// envRig names the directory of the scripts that build, start and stop a
// Kubernetes of one node. Whoever sets it wants these tests.
const envRig = "BBMD_KUBE_RIG"

const (
	patience = 4 * time.Minute        // with a step of one pod, on a busy machine
	pace     = 200 * time.Millisecond // of looks at Kubernetes
	startup  = 5 * time.Minute
)

// rig is a Kubernetes of one node.
type rig struct {
	scripts string
	bin     string            // programs: kubectl, helm
	run     string            // state: the socket of containerd, certificates
	env     map[string]string // what env.sh sets
	started bool              // by this process
	client  *http.Client
	token   string
}

// theRig is started by the first test, and stopped behind the last.
var theRig = sync.OnceValues(openRig)

// errNoRig is why tests are skipped.
var errNoRig = errors.New("`make kube-test` builds one and runs these tests")

func TestMain(m *testing.M) {
	code := m.Run()
	if os.Getenv(envRig) != "" {
		if r, err := theRig(); err == nil && r.started {
			if out, err := r.script(context.Background(), "stop.sh"); err != nil {
				fmt.Fprintf(os.Stderr, "the Kubernetes of the tests was not stopped: %v\n%s", err, out)
				code = max(code, 1)
			}
		}
	}
	os.Exit(code) //nolint:forbidigo // it stands for main
}

// openRig returns the rig, running. The error is an errNoRig where there is none.
func openRig() (*rig, error) {
	scripts := os.Getenv(envRig)
	if scripts == "" {
		return nil, fmt.Errorf("%s is not set: %w", envRig, errNoRig)
	}
	r := &rig{scripts: scripts, env: map[string]string{}}
	ctx, cancel := context.WithTimeout(context.Background(), startup)
	defer cancel()
	const names = "BIN RUN KUBECONFIG NODE_IP API_PORT PATH"
	out, err := exec.CommandContext(ctx, "bash", "-c", `. "$1/env.sh" && for n in $2; do printf '%s=%s\n' "$n" "${!n}"; done`, "bash", scripts, names).Output()
	if err != nil {
		return nil, fmt.Errorf("%s is %s, which has no env.sh that works: %w", envRig, scripts, err)
	}
	for line := range strings.Lines(string(out)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		r.env[name] = value
	}
	r.bin, r.run = r.env["BIN"], r.env["RUN"]
	if _, err := os.Stat(filepath.Join(r.bin, "kube-apiserver")); err != nil {
		return nil, fmt.Errorf("nothing is built in %s: %w", r.bin, errNoRig)
	}
	status, err := exec.CommandContext(ctx, filepath.Join(r.bin, "kubectl"), "--kubeconfig", r.env["KUBECONFIG"], "get", "--raw=/readyz").CombinedOutput()
	r.started = err != nil || strings.TrimSpace(string(status)) != "ok"
	if out, err := r.script(ctx, "start.sh"); err != nil {
		return nil, fmt.Errorf("start Kubernetes: %w\n%s", err, out)
	}
	return r, r.login()
}

// script runs a script of the rig. Its output goes to a file: what it starts keeps it open.
func (r *rig) script(ctx context.Context, name string) ([]byte, error) {
	file, err := os.CreateTemp("", "kube-")
	if err != nil {
		return nil, err
	}
	defer func() { _, _ = file.Close(), os.Remove(file.Name()) }()
	cmd := exec.CommandContext(ctx, filepath.Join(r.scripts, name))
	cmd.Stdout, cmd.Stderr = file, file
	err = cmd.Run()
	out, _ := os.ReadFile(file.Name())
	return out, err
}

// cluster returns the rig, or skips the test.
func cluster(t *testing.T) *rig {
	t.Helper()
	r, err := theRig()
	if errors.Is(err, errNoRig) {
		t.Skipf("SKIPPED: no Kubernetes: %v", err)
	}
	require.NoError(t, err)
	return r
}

// program runs one of the rig's programs with an input.
func (r *rig) program(ctx context.Context, input, name string, args ...string) (stdout, stderr string, err error) {
	cmd := exec.CommandContext(ctx, filepath.Join(r.bin, name), args...)
	if name == "ctr" {
		cmd.Path, err = exec.LookPath(r.ctr())
		if err != nil {
			return "", "", err
		}
	}
	var o, e bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(input), &o, &e
	cmd.Env = append(os.Environ(), "KUBECONFIG="+r.env["KUBECONFIG"], "PATH="+r.env["PATH"], "HELM_CACHE_HOME="+os.TempDir())
	err = cmd.Run()
	return o.String(), e.String(), err
}

// ctr is where containerd's client is among the unpacked packages.
func (r *rig) ctr() string {
	for dir := range strings.SplitSeq(r.env["PATH"], ":") {
		if path := filepath.Join(dir, "ctr"); isFile(path) {
			return path
		}
	}
	return "ctr"
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && !info.IsDir()
}

// kubectl runs kubectl, which has to succeed, and returns what it printed.
func (r *rig) kubectl(t *testing.T, input string, args ...string) string {
	t.Helper()
	stdout, stderr, err := r.program(t.Context(), input, "kubectl", args...)
	require.NoError(t, err, "kubectl %s\n%s%s", strings.Join(args, " "), stdout, stderr)
	return stdout + stderr
}

// containerd runs containerd's client on the pods' containers.
func (r *rig) containerd(t *testing.T, args ...string) string {
	t.Helper()
	stdout, stderr, err := r.program(t.Context(), "", "ctr", append([]string{"-a", filepath.Join(r.run, "containerd.sock"), "-n", "k8s.io"}, args...)...)
	require.NoError(t, err, "ctr %s\n%s%s", strings.Join(args, " "), stdout, stderr)
	return stdout
}
