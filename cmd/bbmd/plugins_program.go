package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"

	"github.com/bbmd-dev/bbmd/plugins"
	"github.com/bbmd-dev/bbmd/plugins/process"
	"github.com/bbmd-dev/bbmd/testing/migtest"
)

// tryProgram tries the Works of a program by the cases in its directory.
func (a *app) tryProgram(ctx context.Context, path string, f tryFlags) error {
	path, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	if len(f.cases) == 0 {
		if f.cases, err = filepath.Glob(filepath.Join(path, "test*.sql")); err != nil {
			return err
		}
	}
	k := &killer{at: f.killAt, target: -1}
	log := slog.New(slog.NewTextHandler(a.err, nil))
	if f.killAt != "" { // that programs end is what is asked for
		log = slog.New(slog.DiscardHandler)
	}
	source := process.NewSource(process.Options{Logger: log, Daemon: buildVersion(), Trace: k.trace})
	ended, end := context.WithCancel(context.WithoutCancel(ctx))
	defer func() {
		end()
		_ = source.Run(ended) // ends the programs, and waits for them
	}()
	found, err := findProgram(ctx, source, path)
	if err != nil {
		return withCode(exitRefused, err)
	}
	k.open = func() (plugins.Opened, error) { return source.Open(ctx, found) }
	if k.plugin, err = k.open(); err != nil {
		return withCode(exitRefused, err)
	}
	if len(f.cases) == 0 {
		return withCode(exitUsage, fmt.Errorf("%s has no case: write a test.sql into it, as `bbmd plugins new` does, or name one with --case", path))
	}
	works := slices.Clone(k.plugin.Works())
	if f.killAt == "" {
		return a.tryWorks(ctx, works, f.cases, nil)
	}
	for i, w := range works {
		works[i] = k.work(w)
	}
	return a.tryWorks(ctx, works, f.cases, k)
}

// findProgram returns what a source makes of a directory.
func findProgram(ctx context.Context, source plugins.Source, path string) (plugins.Candidate, error) {
	dir, err := plugins.OpenDir(filepath.Dir(path))
	if err != nil {
		return plugins.Candidate{}, err
	}
	defer func() { _ = dir.Close() }() // it was only read
	all, err := source.Scan(ctx, dir)
	if err != nil {
		return plugins.Candidate{}, err
	}
	for _, c := range all {
		if filepath.Base(c.Path) == filepath.Base(path) {
			return c, c.Err
		}
	}
	return plugins.Candidate{}, errors.New(path + " has no " + process.ManifestName + ": `bbmd plugins new` writes one")
}

var _ migtest.Interruptions = (*killer)(nil)
