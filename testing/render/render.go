package render

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
)

// source is the renderer's module, seen from the root of the repository.
const source = ".ci/render"

// Release is what a chart is rendered for. Its zero value is the installation
// of a release named release-name into the namespace default, with the chart's
// own values.
type Release struct {
	// Name of the release, and the namespace that it goes to.
	Name, Namespace string
	// Values are YAML files, later ones over earlier ones. Set are PATH=VALUE,
	// as those of helm's --set, over the files.
	Values, Set []string
	// APIs are versions and kinds that the cluster has beside Kubernetes' own,
	// such as monitoring.coreos.com/v1.
	APIs []string
	// KubeVersion is the cluster's, as v1.30.0; empty means the newest that Helm
	// knows.
	KubeVersion string
	// Upgrade renders an upgrade instead of an installation.
	Upgrade bool
}

// Kustomization returns the manifests that `kustomize build` makes of a
// directory. An error holds what is wrong with it; a warning is one.
func Kustomization(ctx context.Context, dir string) ([]byte, error) {
	return run(ctx, "kustomization", dir)
}

// Chart returns the manifests of a Helm chart, hooks included, in the order of
// its files. A warning of helm's linter is an error, and so are values that the
// chart refuses.
func Chart(ctx context.Context, dir string, release Release) ([]byte, error) {
	var arguments []string
	flag := func(name string, values ...string) {
		for _, value := range values {
			if value != "" {
				arguments = append(arguments, "-"+name+"="+value)
			}
		}
	}
	flag("name", release.Name)
	flag("namespace", release.Namespace)
	flag("values", release.Values...)
	flag("set", release.Set...)
	flag("kube-version", release.KubeVersion)
	flag("api", release.APIs...)
	if release.Upgrade {
		flag("upgrade", "true")
	}
	return run(ctx, append(append([]string{"chart"}, arguments...), dir)...)
}

// run runs the renderer, in this process's directory.
func run(ctx context.Context, arguments ...string) ([]byte, error) {
	program, err := built()
	if err != nil {
		return nil, err
	}
	text, warnings, err := output(exec.CommandContext(ctx, program, arguments...)) //nolint:gosec // the renderer, for this package's own callers
	if err == nil && len(warnings) > 0 {
		err = fmt.Errorf("render %s: %s", arguments[0], warnings)
	}
	return text, err
}

// built is the path of the renderer, built when it is first asked for: tests
// that run in parallel would build all of it at the same time.
//
//nolint:gochecknoglobals // one build per process is the point
var built = sync.OnceValues(build)

// build has `go run` build the renderer, and returns where Go's cache has it.
// The run that builds it has it elsewhere, so that may take two.
func build() (string, error) {
	root, err := repository()
	if err != nil {
		return "", err
	}
	for range 2 {
		cmd := exec.CommandContext(context.Background(), "go", "run", ".", "path")
		cmd.Dir = filepath.Join(root, source)
		text, _, err := output(cmd)
		if err != nil {
			return "", fmt.Errorf("build %s: %w", source, err)
		}
		path := strings.TrimSpace(string(text))
		if _, err := os.Stat(path); err == nil {
			return path, nil
		}
	}
	return "", errors.New("build " + source + ": Go's cache does not keep it")
}

// repository is the directory above this one that has the renderer.
func repository() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, source, "go.mod")); err == nil {
			return dir, nil
		}
		above := filepath.Dir(dir)
		if above == dir {
			return "", errors.New("there is no " + source + " above the working directory: render works in bbmd's repository alone")
		}
		dir = above
	}
}

// output is what a command prints and what it complains about, which an error
// holds as well.
func output(cmd *exec.Cmd) (text, complaint []byte, err error) {
	var out, warnings bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &warnings
	err = cmd.Run()
	complaint = bytes.TrimSpace(warnings.Bytes())
	if err != nil {
		return nil, complaint, fmt.Errorf("%w: %s", err, complaint)
	}
	return out.Bytes(), complaint, nil
}
