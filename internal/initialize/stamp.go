package initialize

import (
	"context"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/bbmd-dev/bbmd/internal/history"
)

// Stamp sets the version table to a version, on the caller's word, and touches nothing
// else: what mends a dirty history, or one that names unknown revisions. version is what the history's
// [history.Files.Resolve] understands; without files it is what the tool's own table holds, separated by spaces. The
// files of the versions that count as applied from now on are accepted as they are.
func Stamp(ctx context.Context, s Spec, version string) (Result, error) {
	r, err := newRun(s)
	if err != nil {
		return r.result, err
	}
	defer r.close(ctx)
	heads := strings.Fields(version)
	if r.files != nil {
		if heads, err = r.files.Resolve(version); err != nil {
			return r.result, &ConfigError{Database: s.Database, Err: err}
		}
	}
	if r.conn, err = r.spec.open(ctx); err != nil {
		return r.result, r.spec.wrap("stamp", err)
	}
	err = r.exclusively(ctx, func(ctx context.Context, f Finding) error {
		tool, err := r.stampable(f)
		if err != nil {
			return err
		}
		f.Tool, f.Target = tool, heads
		f.Plan = Plan{Action: ActStamp, Why: "asked to", Steps: stamped(heads)}
		if err := r.begin(ctx, f, ActStamp, "stamped "+version); err != nil {
			return err
		}
		return r.end(ctx, r.stamp(ctx, f, tool, heads))
	})
	return r.finish(err)
}

// stampable returns the tool whose table is to be written.
func (r *run) stampable(f Finding) (history.Tool, error) {
	name := r.spec.Database
	switch {
	case f.State == Ambiguous, f.stuck.Dirty != "":
		return "", stop(r.spec, f, refusalOf(f.State), wayOut(r.spec, f)).refusal
	case f.State == Empty && !f.resumed:
		return "", r.spec.misfit(f, "an empty database has no version", "bbmd migrate "+name+" creates it")
	case r.files != nil && r.spec.unknownTable(f):
		return "", r.spec.misfit(f, "env.py names a version table of its own, and there is none yet to see which", wayToTable)
	case r.files != nil:
		return r.files.Tool(), nil
	case !f.found:
		return "", r.spec.misfit(f, "there is no version table, and no migrations that say whose it would be", "give schema.migrations")
	}
	switch f.record.Tool {
	case history.Goose, history.Alembic, history.GolangMigrate, history.Tern, history.Dbmate:
		return f.record.Tool, nil
	default:
		return "", r.spec.misfit(f, "only "+f.record.Tool.Title()+" itself can write its table", f.record.Remedy)
	}
}

func (r *run) stamp(ctx context.Context, f Finding, tool history.Tool, heads []string) error {
	return r.inTransaction(ctx, pgx.TxOptions{}, func(tx pgx.Tx) error {
		if r.files != nil {
			return r.stampIn(ctx, tx, f, heads)
		}
		return history.Stamp(ctx, tx, tool, f.record.Place(), heads)
	})
}
