package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"path"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"

	helm "helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/engine"
	"helm.sh/helm/v3/pkg/lint"
	"helm.sh/helm/v3/pkg/lint/support"
	"helm.sh/helm/v3/pkg/strvals"
)

// release is what `helm template` is told by its flags.
type release struct {
	chart   string
	options chartutil.ReleaseOptions
	values  list
	set     list
	apis    list
	kube    *chartutil.KubeVersion
}

// list is a flag that may be given several times.
type list []string

func (l *list) String() string         { return strings.Join(*l, ",") }
func (l *list) Set(value string) error { *l = append(*l, value); return nil }

// chart renders as `helm template` does, hooks included.
func chart(arguments []string, out io.Writer) error {
	r := release{options: chartutil.ReleaseOptions{Revision: 1}}
	flags := flag.NewFlagSet("render chart", flag.ContinueOnError)
	flags.StringVar(&r.options.Name, "name", "release-name", "of the release")
	flags.StringVar(&r.options.Namespace, "namespace", "default", "of the release")
	flags.BoolVar(&r.options.IsUpgrade, "upgrade", false, "render an upgrade instead of an installation")
	flags.Var(&r.values, "values", "file of values; later ones win")
	flags.Var(&r.set, "set", "value as PATH=VALUE; wins over files")
	kube := flags.String("kube-version", builtFor(), "of the cluster")
	flags.Var(&r.apis, "api", "API version that the cluster has beside Kubernetes' own")
	if err := flags.Parse(arguments); err != nil {
		return err
	}
	if flags.NArg() != 1 {
		return errors.New("usage: render chart [FLAGS] DIRECTORY")
	}
	r.chart, r.options.IsInstall = flags.Arg(0), !r.options.IsUpgrade
	var err error
	if r.kube, err = chartutil.ParseKubeVersion(*kube); err != nil {
		return fmt.Errorf("parse version of Kubernetes: %w", err)
	}
	values, err := r.merge()
	if err != nil {
		return err
	}
	if err := r.lint(values); err != nil {
		return err
	}
	files, err := r.render(values)
	if err != nil {
		return err
	}
	return printFiles(files, out)
}

// builtFor is the version of Kubernetes whose client Helm is built with, as
// that of a released helm is. The libraries alone take an old one.
func builtFor() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, module := range info.Deps {
			if minor, ok := strings.CutPrefix(module.Version, "v0."); ok && module.Path == "k8s.io/client-go" {
				return "v1." + minor
			}
		}
	}
	return chartutil.DefaultCapabilities.KubeVersion.Version
}

// merge returns the values of the files and of the flags, without the chart's own.
func (r *release) merge() (map[string]any, error) {
	values := map[string]any{}
	for _, file := range r.values {
		read, err := chartutil.ReadValuesFile(file)
		if err != nil {
			return nil, fmt.Errorf("read values: %w", err)
		}
		values = chartutil.MergeTables(read, values)
	}
	for _, set := range r.set {
		if err := strvals.ParseInto(set, values); err != nil {
			return nil, fmt.Errorf("parse %q: %w", set, err)
		}
	}
	return values, nil
}

func (r *release) lint(values map[string]any) error {
	var found []error
	for _, message := range lint.AllWithKubeVersion(r.chart, values, r.options.Namespace, r.kube).Messages {
		if message.Severity >= support.WarningSev {
			found = append(found, message)
		}
	}
	return errors.Join(found...)
}

func (r *release) render(values map[string]any) (map[string]string, error) {
	loaded, err := loader.Load(r.chart)
	if err != nil {
		return nil, fmt.Errorf("load chart: %w", err)
	}
	if err := complete(loaded); err != nil {
		return nil, err
	}
	if err := chartutil.ProcessDependenciesWithMerge(loaded, values); err != nil {
		return nil, fmt.Errorf("process dependencies: %w", err)
	}
	capabilities := chartutil.DefaultCapabilities.Copy()
	capabilities.KubeVersion = *r.kube
	capabilities.APIVersions = append(slices.Clone(capabilities.APIVersions), r.apis...)
	all, err := chartutil.ToRenderValues(loaded, values, r.options, capabilities)
	if err != nil {
		return nil, fmt.Errorf("combine values: %w", err)
	}
	files, err := engine.Render(loaded, all)
	if err != nil {
		return nil, fmt.Errorf("render chart: %w", err)
	}
	for _, crd := range loaded.CRDObjects() {
		files[crd.Filename] = string(crd.File.Data)
	}
	return files, nil
}

// complete refuses a chart that lacks a dependency that it names.
func complete(loaded *helm.Chart) error {
	for _, dependency := range loaded.Metadata.Dependencies {
		if !slices.ContainsFunc(loaded.Dependencies(), func(c *helm.Chart) bool { return c.Name() == dependency.Name }) {
			return fmt.Errorf("the chart does not contain %s, on which it depends", dependency.Name)
		}
	}
	return nil
}

// printFiles prints what is a manifest, in the order of the files' names.
func printFiles(files map[string]string, out io.Writer) error {
	names := make([]string, 0, len(files))
	for name := range files {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		text := strings.TrimSpace(files[name])
		if text == "" || strings.HasPrefix(path.Base(name), "_") || filepath.Ext(name) == ".txt" {
			continue
		}
		if _, err := fmt.Fprintf(out, "---\n# Source: %s\n%s\n", name, strings.TrimPrefix(text, "---\n")); err != nil {
			return err
		}
	}
	return nil
}
