package executor

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/bbmd-dev/bbmd/internal/control"
	"github.com/bbmd-dev/bbmd/registry"
)

// Rehearsal is a session on which batches of a migration can be tried: with the
// settings, the statement and the look-ups of a worker's, and undone. It takes no lock of a worker's and
// claims no job, so that it works beside whoever runs the migration; what stays is WAL and dead row
// versions. It is used by one goroutine.
type Rehearsal struct {
	worker    *worker
	plan      plan
	statement *registry.Statement
	after     *string // the last key that a batch was cut up to
	keys      int64   // up to there
}

// Rehearse looks at a migration as a worker does before it starts, and opens
// the session. The candidate may be one that is not enqueued: then ID is 0. The error is
// what would fail the migration, or keep it from running here. The caller closes what it returns.
func Rehearse(ctx context.Context, opts Options, c control.Candidate) (*Rehearsal, error) {
	work, err := opts.Registry.Lookup(c.Work)
	if err != nil {
		return nil, err
	}
	if c.Strategy == "" {
		c.Strategy = control.StrategyKeyset
	}
	w := &worker{opts: &opts, settings: opts.Settings, candidate: c, work: work, log: opts.Logger, soft: ctx}
	if err := w.lookAtTable(ctx); err != nil {
		return nil, err
	}
	if err := w.examine(ctx); err != nil {
		return nil, err
	}
	e := entry{opts: &opts, settings: opts.Settings}
	conn, err := e.connect(ctx, ctx, "dry-run")
	if err != nil {
		return nil, err
	}
	w.session = &session{store: opts.Store, migration: c.ID, conn: conn, backend: e.backend}
	r := &Rehearsal{worker: w}
	if err := r.prepare(ctx); err != nil {
		r.Close(ctx)
		return nil, err
	}
	return r, nil
}

// Close ends the session.
func (r *Rehearsal) Close(ctx context.Context) { closeConn(ctx, r.worker.session.conn) }

// Conn is the session, for questions to the catalog between the trials.
func (r *Rehearsal) Conn() *pgx.Conn { return r.worker.session.conn }

func (r *Rehearsal) prepare(ctx context.Context) (err error) {
	w := r.worker
	if w.work.SQL != nil {
		statement, err := guardedValue(ctx, w.log, func() (registry.Statement, error) { return w.work.SQL(w.migration()) })
		if err != nil {
			return refuse(control.CodeWork, "statement of %s: %v", w.work.Name, err)
		}
		r.statement = &statement
	}
	if r.plan, err = w.plan(ctx); err != nil || w.target.null != "" {
		return err
	}
	if r.plan.run == nil {
		if err := prepareAll(ctx, w.session.conn, w.statements(r.plan)); err != nil {
			return w.refusedStatement(r.plan, err)
		}
	}
	c := &w.candidate
	if c.MinValue, c.MaxValue, err = w.target.bounds(ctx, w.session.conn, c); err != nil || c.ID == 0 {
		return err
	}
	r.keys, r.after, err = w.opts.Store.Passed(ctx, w.session.conn, c.ID)
	return err
}

// Subject is what a migration works on.
type Subject struct {
	Table     string // schema-qualified and quoted
	OID       uint32
	Key       registry.Key
	Null      string              // with the strategy "null", which has no key: the column, quoted
	Statement *registry.Statement // nil: the Work is a callback
	Left      bool                // there are keys that no batch was cut for
	Ahead     bool                // the ends of batches are looked up beside the work
	Limits    SizeLimits
}

// SizeLimits are what a migration's row and the settings say about sizes.
type SizeLimits struct {
	Start, Least, Most int32         // keys
	Target             time.Duration // per batch; 0: always Start
}

// Subject returns what the migration works on.
func (r *Rehearsal) Subject() Subject {
	w := r.worker
	l := limitsOf(w.candidate.Knobs, w.settings.TargetDuration)
	s := Subject{
		Table: w.target.table, OID: w.target.oid, Key: w.target.key, Null: w.target.null, Statement: r.statement,
		Left: true, Limits: SizeLimits{Start: l.start, Least: l.least, Most: l.most, Target: l.target},
	}
	if s.Null == "" {
		last := w.candidate.MaxValue
		s.Left = last != nil && (r.after == nil || *r.after != *last)
		s.Ahead = w.looksAhead(r.plan)
	}
	return s
}

// Rows estimates for how many rows no batch was cut yet, without reading them;
// -1: nobody can know.
func (r *Rehearsal) Rows(ctx context.Context) (int64, error) {
	w := r.worker
	switch c := &w.candidate; {
	case w.target.null != "":
		return w.target.tuples, nil
	case c.MaxValue == nil:
		return 0, nil
	default:
		return w.target.remaining(ctx, w.session.conn, *c.MinValue, *c.MaxValue, passed{keys: r.keys, after: r.after})
	}
}

// Explain returns the plan of the batch statement, as JSON and as lines for
// people: under the settings of a worker's session, in the generic form that these prepare, and with the
// partitions of the next batch. Both are nil where the Work is a callback.
func (r *Rehearsal) Explain(ctx context.Context) (plan []byte, lines []string, err error) {
	if r.statement == nil {
		return nil, nil, nil
	}
	text, args, err := r.explained(ctx)
	if err != nil {
		return nil, nil, err
	}
	conn := r.worker.session.conn
	if err = conn.QueryRow(ctx, "EXPLAIN (FORMAT JSON, VERBOSE) "+text, args...).Scan(&plan); err != nil {
		return nil, nil, fmt.Errorf("explain the statement: %w", err)
	}
	rows, err := conn.Query(ctx, "EXPLAIN (COSTS OFF) "+text, args...)
	if err == nil {
		lines, err = pgx.CollectRows(rows, pgx.RowTo[string])
	}
	if err != nil {
		return nil, nil, fmt.Errorf("explain the statement: %w", err)
	}
	return plan, lines, nil
}

// explained returns what to explain: the prepared statement, with the values of the next batch. The plan
// does not depend on them, but for which partitions are looked at.
func (r *Rehearsal) explained(ctx context.Context) (text string, args []any, err error) {
	args = []any{control.Once}
	if r.worker.target.null != "" {
		text, err = r.statement.BindRows()
		return text, append(args, "{}"), err
	}
	values := slices.Repeat([]string{"NULL"}, 2*len(r.worker.target.key))
	d, err := r.Cut(ctx, nil, r.worker.candidate.Knobs.BatchSize)
	if err != nil {
		return "", nil, err
	}
	if d != nil {
		params, err := bounds(r.worker.batch(&d.Job), r.plan.wantStart)
		if err != nil {
			return "", nil, err
		}
		for i, p := range params {
			values[i] = "'" + strings.ReplaceAll(string(p), "'", "''") + "'" // standard_conforming_strings is on
		}
	}
	return "EXECUTE " + stmtNext + "(" + strings.Join(values, ", ") + ")", args, nil
}

// Hopeless reports whether err is one that no retry mends: it would fail the migration, or keep it from
// running here.
func Hopeless(err error) bool {
	var refused *refusal
	return errors.As(err, &refused) || errors.Is(err, registry.ErrUnknownWork)
}
