package daemon

import (
	"context"

	"github.com/bbmd-dev/bbmd/internal/initialize"
)

// BaselineRequest says how to adopt a database. The zero value compares it with
// what is declared.
type BaselineRequest = initialize.BaselineRequest

// Baseline adopts databases that have a schema and no history: it records which
// version they have, and runs nothing. The schema has to be the declared one, unless
// the request or schema.baseline_version names the version.
func Baseline(ctx context.Context, cfg Config, request BaselineRequest, opts SchemaOptions) ([]Outcome, error) {
	return eachDatabase(ctx, cfg, opts, func(ctx context.Context, spec initialize.Spec) (o Outcome) {
		o.done(initialize.Baseline(ctx, spec, request))
		return o
	})
}

// Stamp sets the version of databases on the caller's word, and touches nothing
// else in them: what mends a dirty history, or one that names revisions that the files do not have. The
// version is one that the migrations have, or head, heads or base.
func Stamp(ctx context.Context, cfg Config, version string, opts SchemaOptions) ([]Outcome, error) {
	return eachDatabase(ctx, cfg, opts, func(ctx context.Context, spec initialize.Spec) (o Outcome) {
		o.done(initialize.Stamp(ctx, spec, version))
		return o
	})
}

// Reset drops everything in databases but bbmd's own history, with all data, and
// creates them anew. Their background migrations are cancelled, running batches end first, on
// all replicas. It is refused outside development_mode and for databases that are marked as
// production.
func Reset(ctx context.Context, cfg Config, opts SchemaOptions) ([]Outcome, error) {
	return eachDatabase(ctx, cfg, opts, func(ctx context.Context, spec initialize.Spec) (o Outcome) {
		o.done(initialize.Recreate(ctx, spec, initialize.RecreateRequest{}))
		return o
	})
}
