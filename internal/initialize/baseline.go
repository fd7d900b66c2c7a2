package initialize

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/bbmd-dev/bbmd/internal/catalog"
	"github.com/bbmd-dev/bbmd/internal/control"
	"github.com/bbmd-dev/bbmd/internal/history"
)

// BaselineRequest says how to adopt a database. The zero value compares it with what is declared.
type BaselineRequest struct {
	// Version that the database has, on the caller's word; empty: the spec's
	// Baseline, and without it the schema has to be the declared one.
	Version string
	// Prove reads every row before and after, in one snapshot, to show that none was touched.
	Prove bool
}

// Baseline records which version an [Unversioned] database has, and runs nothing.
func Baseline(ctx context.Context, s Spec, request BaselineRequest) (Result, error) {
	if request.Version != "" {
		s.Baseline = request.Version
	}
	r, err := newConfigured(s)
	if err != nil {
		return r.result, err
	}
	defer r.close(ctx)
	if err := r.open(ctx); err != nil {
		return r.result, err
	}
	err = r.exclusively(ctx, func(ctx context.Context, f Finding) error {
		switch {
		case f.Plan.Action == ActStop:
			return f.Plan.refusal
		case f.Plan.Action != ActBaseline:
			return r.spec.misfit(f, "there is nothing to adopt", "bbmd migrate "+s.Database+" does what there is to do")
		}
		if err := r.compare(ctx, f); err != nil {
			return err
		}
		if err := r.begin(ctx, f, ActBaseline, ""); err != nil {
			return err
		}
		return r.end(ctx, r.prove(ctx, f, request.Prove))
	})
	return r.finish(err)
}

// misfit refuses what does not fit the state of the database.
func (s Spec) misfit(f Finding, reason, wayOut string) error {
	return &RefusalError{Database: s.Database, Refusal: RefusedState, State: f.State, Reason: fmt.Sprintf("%s (%s)", reason, f.Reason), WayOut: wayOut}
}

// prove stamps, and where it is asked to shows that no row was touched by that.
func (r *run) prove(ctx context.Context, f Finding, proof bool) error {
	if !proof {
		return r.stampBaseline(ctx, f)
	}
	options := notSchema(r.spec, f.records)
	return r.inTransaction(ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead}, func(tx pgx.Tx) error {
		before, err := catalog.Fingerprint(ctx, tx, options)
		if err != nil {
			return fmt.Errorf("sum up the rows: %w", err)
		}
		if err := r.stampBaselineIn(ctx, tx, f); err != nil {
			return err
		}
		made, err := history.Find(ctx, tx, r.spec.controlSchema())
		if err != nil {
			return err
		}
		after, err := catalog.Fingerprint(ctx, tx, notSchema(r.spec, made))
		if err != nil {
			return fmt.Errorf("sum up the rows: %w", err)
		}
		if changes := before.Changes(after); len(changes) > 0 {
			return fmt.Errorf("rows were touched: %s", few(changes))
		}
		var rows int64
		for _, table := range before {
			rows += table.Rows
		}
		r.record.note(ctx, "%d rows of %d tables and sequences are as they were", rows, len(before))
		return nil
	})
}

func (r *run) stampBaseline(ctx context.Context, f Finding) error {
	return r.inTransaction(ctx, pgx.TxOptions{}, func(tx pgx.Tx) error { return r.stampBaselineIn(ctx, tx, f) })
}

func (r *run) stampBaselineIn(ctx context.Context, tx pgx.Tx, f Finding) error {
	if r.files == nil { // the models are all there is
		models, err := r.readModels(ctx)
		if err != nil {
			return err
		}
		what := control.AppliedFile{Version: modelsVersion, File: modelsPlace(r.spec.Models), Checksum: models.checksum()}
		return r.spec.store().RecordApplied(ctx, tx, string(modelsTool), r.record.run, []control.AppliedFile{what})
	}
	heads := r.files.Heads()
	if r.spec.Baseline != "" {
		var err error
		if heads, _, err = baselineAt(r.files, r.spec.Baseline); err != nil {
			return err
		}
	}
	return r.stampIn(ctx, tx, f, heads)
}

// Differences returns how the schema of a database differs from the declared one. It
// builds that one in a throw-away database on the same server.
func Differences(ctx context.Context, s Spec) (catalog.Difference, error) {
	r, err := newConfigured(s)
	if err != nil {
		return catalog.Difference{}, err
	}
	conn, err := r.spec.open(ctx)
	if err != nil {
		return catalog.Difference{}, r.spec.wrap("compare", err)
	}
	r.conn = conn
	defer r.close(ctx)
	f, err := look(ctx, conn, r.spec, r.files)
	if err != nil {
		return catalog.Difference{}, err
	}
	return r.differences(ctx, f)
}

// compare refuses a schema that is not the declared one, unless an operator
// said which version it is.
func (r *run) compare(ctx context.Context, f Finding) error {
	if r.spec.Baseline != "" {
		return nil
	}
	d, err := r.differences(ctx, f)
	if err != nil || d.Empty() {
		return err
	}
	wayOut := fmt.Sprintf("change the database or the declaration until they are equal, or say which version it is: bbmd baseline %s --version VERSION", r.spec.Database)
	if r.files == nil {
		wayOut = "change the database or the models until they are equal"
	}
	return &RefusalError{
		Database: r.spec.Database, Refusal: RefusedDifferent, State: f.State,
		Reason: fmt.Sprintf("%s; its schema is not the declared one: %d objects differ from %s", f.Reason, len(d.Objects), declaredBy(r.spec)),
		WayOut: wayOut, Difference: d.String(),
	}
}

func (r *run) differences(ctx context.Context, f Finding) (catalog.Difference, error) {
	want, err := r.declaredSchema(ctx)
	if err != nil {
		return catalog.Difference{}, r.spec.wrap("compare", err)
	}
	have, err := catalog.Take(ctx, r.conn, notSchema(r.spec, f.records))
	if err != nil {
		return catalog.Difference{}, r.spec.wrap("compare", err)
	}
	return catalog.Compare(want, have).WithoutExtraPartitions(), nil
}

// declaredSchema builds the declared schema in a shadow and takes it from there. Where
// that fails for want of an extension that the declaration takes for granted, the
// database's own are put there first.
func (r *run) declaredSchema(ctx context.Context) (catalog.Snapshot, error) {
	var models declared
	if r.spec.bootstrap() == FromModels {
		var err error
		if models, err = r.readModels(ctx); err != nil {
			return catalog.Snapshot{}, err
		}
	}
	snapshot, err := r.shadowed(ctx, models, catalog.ShadowOptions{})
	if _, failed := errors.AsType[*StepError](err); failed && ctx.Err() == nil {
		if second, again := r.shadowed(ctx, models, catalog.ShadowOptions{Extensions: true}); again == nil {
			return second, nil
		}
	}
	if errors.Is(err, catalog.ErrNoCreateDB) {
		return snapshot, &RefusalError{
			Database: r.spec.Database, Refusal: RefusedPrivilege, State: Unversioned, Err: err,
			Reason: "the declared schema cannot be built to compare with: " + err.Error(),
			WayOut: fmt.Sprintf("grant CREATEDB, or say which version the database has: bbmd baseline %s --version VERSION", r.spec.Database),
		}
	}
	return snapshot, err
}

// shadowed builds the schema in a shadow, from models or, when these are nil, by all migrations.
func (r *run) shadowed(ctx context.Context, models declared, options catalog.ShadowOptions) (snapshot catalog.Snapshot, err error) {
	err = catalog.Shadow(ctx, r.spec.anywhere(), options, func(ctx context.Context, conn *pgx.Conn) error {
		if err := r.fillShadow(ctx, conn, models); err != nil {
			return err
		}
		records, err := history.Find(ctx, conn, r.spec.controlSchema())
		if err != nil {
			return err
		}
		snapshot, err = catalog.Take(ctx, conn, notSchema(r.spec, records))
		return err
	})
	return snapshot, err
}

func (r *run) fillShadow(ctx context.Context, conn *pgx.Conn, models declared) error {
	if models != nil {
		return pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
			if err := setLimits(ctx, tx, r.spec.Limits); err != nil {
				return err
			}
			return models.apply(ctx, tx)
		})
	}
	runs, err := newRunner(r.spec, r.files.Tool(), r.files)
	if err != nil {
		return err
	}
	return runs.run(ctx, r.spec.shadow(conn.Config().Database, r.record), r.files.Steps(), unwatched{})
}
