package initialize

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/bbmd-dev/bbmd/internal/control"
	"github.com/bbmd-dev/bbmd/internal/history"
)

// create makes an empty database what the models declare and stamps every
// head, in one transaction: after a failure, or a death, it is as empty as before.
func (r *run) create(ctx context.Context, f Finding) error {
	models, err := r.readModels(ctx)
	if err != nil {
		return err
	}
	return r.inTransaction(ctx, pgx.TxOptions{}, func(tx pgx.Tx) error { return r.createIn(ctx, tx, f, models) })
}

// readModels reads the models, once in a run: what they said before anything was changed is what is made.
func (r *run) readModels(ctx context.Context) (declared, error) {
	var err error
	if r.models == nil {
		r.models, err = readModels(ctx, r.spec, r.record)
	}
	return r.models, err
}

// inTransaction changes the database in one transaction, again when others were in its way.
func (r *run) inTransaction(ctx context.Context, options pgx.TxOptions, what func(pgx.Tx) error) error {
	attempt := func() error {
		return pgx.BeginTxFunc(ctx, r.conn, options, func(tx pgx.Tx) error {
			if err := setLimits(ctx, tx, r.spec.Limits); err != nil {
				return err
			}
			return what(tx)
		})
	}
	return r.spec.Limits.retry(ctx, attempt, contended, func(err error, pause time.Duration) {
		r.record.note(ctx, "%v; again in %v", err, pause.Round(time.Millisecond))
	})
}

func (r *run) createIn(ctx context.Context, tx pgx.Tx, f Finding, models declared) error {
	err := r.record.do(ctx, Planned{Does: doesModels, File: modelsPlace(r.spec.Models)}, func() error { return models.apply(ctx, tx) })
	if err != nil {
		return err
	}
	if r.files == nil {
		what := control.AppliedFile{Version: modelsVersion, File: modelsPlace(r.spec.Models), Checksum: models.checksum()}
		return r.spec.store().RecordApplied(ctx, tx, string(modelsTool), r.record.run, []control.AppliedFile{what})
	}
	return r.stampIn(ctx, tx, f, r.files.Heads())
}

// stampIn writes the version table for heads, and what their files are.
func (r *run) stampIn(ctx context.Context, tx pgx.Tx, f Finding, heads []string) error {
	have, err := r.files.Until(heads)
	if err != nil {
		return err
	}
	for _, step := range stamped(heads) {
		if err := r.record.start(ctx, step, true); err != nil {
			return err
		}
	}
	if err := r.files.Stamp(ctx, tx, r.spec.place(f), heads); err != nil {
		return fmt.Errorf("stamp: %w", err)
	}
	name := r.spec.history(r.files)
	if err := r.spec.store().ForgetApplied(ctx, tx, name); err != nil {
		return err
	}
	if err := r.spec.store().RecordApplied(ctx, tx, name, r.record.run, checksums(have)); err != nil {
		return err
	}
	if len(heads) == 0 {
		return nil
	}
	return r.record.finish(ctx)
}

// place is where the version table is, or will be.
func (s Spec) place(f Finding) history.Place {
	if f.found || s.VersionTable == "" {
		return f.record.Place()
	}
	schema, table, qualified := strings.Cut(s.VersionTable, ".")
	if !qualified {
		schema, table = "", s.VersionTable
	}
	return history.Place{Schema: schema, Table: table}
}

// migrate runs what is pending, or the command, in sessions of the runner's own.
func (r *run) migrate(ctx context.Context, f Finding) error {
	tool := f.Tool
	if r.spec.History == Command {
		tool = Command
	}
	runs, err := newRunner(r.spec, tool, r.files)
	if err != nil {
		return err
	}
	to := r.spec.own(f, r.record)
	work := func(ctx context.Context) error {
		return runs.run(ctx, to, f.comparison.Pending, steps{record: r.record, history: r.spec.history(r.files)})
	}
	return held(ctx, r.conn, func(ctx context.Context) error {
		if tool != Command {
			return work(ctx)
		}
		return r.record.do(ctx, commanded(r.spec), func() error { return work(ctx) })
	})
}
