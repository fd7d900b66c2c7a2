package main

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"

	"github.com/bbmd-dev/bbmd/plugins/build"
	"github.com/bbmd-dev/bbmd/registry"
)

// buildFlags are what `bbmd build` was told.
type buildFlags struct {
	with, replace   []string
	output, version string
}

func newBuildCommand(a *app) *cobra.Command {
	var f buildFlags
	cmd := &cobra.Command{
		Use:   "build --with MODULE[@VERSION] -o FILE [-- FLAG…]",
		Short: "Make a bbmd with your own Works compiled in",
		Long: "Lets the Go toolchain build a bbmd into which further modules are compiled: packages that register\n" +
			"Works in an init function. The file is written once the program has been asked for its Works. What\n" +
			"follows -- is for go build, by default -trimpath -ldflags '-s -w'. CGO_ENABLED, GOOS, GOARCH and\n" +
			"all else that the go command reads in the environment count; CGO_ENABLED is 0 unless it is set.",
		Example: "  bbmd build --with github.com/acme/works@v1.2.3 -o bbmd-acme\n" +
			"  bbmd build --with example.com/works --replace example.com/works=../works -o bbmd-acme",
		RunE: func(cmd *cobra.Command, args []string) error {
			if n := cmd.ArgsLenAtDash(); n > 0 || n < 0 && len(args) > 0 {
				return withCode(exitUsage, fmt.Errorf("unknown argument %q: name modules with --with, and flags of go build after --", args[0]))
			}
			o, err := f.options(args)
			if err != nil {
				return withCode(exitUsage, err)
			}
			return a.build(cmd.Context(), o)
		},
	}
	cmd.Flags().StringArrayVar(&f.with, "with", nil, "`module[@version]` to compile in; again and again")
	cmd.Flags().StringArrayVar(&f.replace, "replace", nil, "take a module from a directory, as `module=path`; again and again")
	cmd.Flags().StringVarP(&f.output, "out", "o", "", "`file` for the program")
	cmd.Flags().StringVar(&f.version, "bbmd", "", "`version` of bbmd (default this program's, else the latest)")
	return cmd
}

// options says everything that is wrong with the flags.
func (f buildFlags) options(goFlags []string) (build.Options, error) {
	o := build.Options{Output: f.output, Version: f.version, Flags: goFlags}
	var problems []error
	for _, text := range f.with {
		m, err := build.ParseModule(text)
		o.With, problems = append(o.With, m), append(problems, err)
	}
	for _, text := range f.replace {
		r, err := build.ParseReplacement(text)
		o.Replace, problems = append(o.Replace, r), append(problems, err)
	}
	if len(f.with) == 0 {
		problems = append(problems, errors.New("nothing to compile in: name a module with --with"))
	}
	if f.output == "" {
		problems = append(problems, errors.New("no file for the program: name one with -o"))
	}
	if o.Version == "" {
		o.Version = releasedVersion()
	}
	if len(o.Flags) == 0 {
		o.Flags = []string{"-trimpath", "-ldflags=-s -w -X main.version=" + buildVersion() + "+custom"}
	}
	for _, work := range registry.Default().Works() {
		o.Known = append(o.Known, work.Name)
	}
	return o, errors.Join(problems...)
}

var releasePattern = regexp.MustCompile(`^v\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?$`)

// releasedVersion is this program's version if the go command can find it, else nothing.
func releasedVersion() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Path != build.BBMD || !releasePattern.MatchString(info.Main.Version) {
		return ""
	}
	return info.Main.Version
}

func (a *app) build(ctx context.Context, o build.Options) error {
	o.Log, o.Environ = a.err, a.environ
	works, err := build.Build(ctx, o)
	switch {
	case errors.Is(err, build.ErrNoGo):
		return withCode(exitUsage, err)
	case err != nil:
		return err
	case works == nil:
		return a.printf("%s is for another system: its Works were not asked for\n", o.Output)
	}
	for _, m := range o.With {
		if err := a.printf("%s: %s\n", m.Path, strings.Join(works[m.Path], ", ")); err != nil {
			return err
		}
	}
	return a.printf("%s has them: `%s works` lists all\n", o.Output, o.Output)
}
