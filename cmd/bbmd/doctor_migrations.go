package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/bbmd-dev/bbmd/daemon"
	"github.com/bbmd-dev/bbmd/internal/control"
	"github.com/bbmd-dev/bbmd/internal/rehearsal"
	"github.com/bbmd-dev/bbmd/internal/terminal"
	"github.com/bbmd-dev/bbmd/registry"
)

// migrationsExamined is how many open migrations are looked at.
const migrationsExamined = 20

// checkMigrations looks at each open migration as a worker does before it
// starts, and at the plan of its statement. No batch is tried.
func checkMigrations(ctx context.Context, p *patient) (string, error) {
	if !p.installed(ctx) {
		return p.without(ctx), nil
	}
	store := control.NewStore(p.config.ControlSchema)
	open, err := store.Progress(ctx, p.conn, control.Selection{Open: true})
	if err != nil {
		return "", err
	}
	detail := "open: " + terminal.Count(int64(len(open)))
	if len(open) > migrationsExamined {
		detail += fmt.Sprintf(", of which the first %d were examined", migrationsExamined)
		open = open[:migrationsExamined]
	}
	var found problems
	for i := range open {
		problems, err := p.rehearse(ctx, open[i].Name)
		if err != nil {
			return "", err
		}
		found = append(found, problems...)
	}
	return detail, found.orNil()
}

// rehearse looks at one migration.
func (p *patient) rehearse(ctx context.Context, name string) (found problems, err error) {
	report, err := daemon.DryRun(ctx, p.config, p.name, daemon.DryRunOptions{Name: name})
	switch {
	case errors.Is(err, daemon.ErrNoMigration):
		return nil, nil // it is over meanwhile
	case errors.Is(err, registry.ErrUnknownWork):
		return problems{warn("migration "+name+": "+err.Error(), "it waits for a replica that has the Work", "run a bbmd with the Work, or cancel the migration")}, nil
	case errors.Is(err, daemon.ErrWouldFail):
		return problems{fail("migration "+name+": "+err.Error(), "it fails as soon as a worker looks at it", "mend that, or cancel it and enqueue another one")}, nil
	case err != nil:
		return nil, fmt.Errorf("migration %s: %w", name, err)
	}
	for _, f := range report.Findings {
		text := "migration " + name + ": " + f.About + ": " + f.Text
		hint := f.Hint
		if hint == "" {
			hint = "bbmd dry-run " + name + " says more"
		}
		switch {
		case f.Level == rehearsal.Fail:
			found = append(found, fail(text, "it would fail", hint))
		case f.Level == rehearsal.Warn && f.About != "triggers" && f.About != "publications": // told of the table
			found = append(found, warn(text, "it makes every batch dear", hint))
		}
	}
	return found, nil
}
