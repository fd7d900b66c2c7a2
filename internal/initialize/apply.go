package initialize

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/bbmd-dev/bbmd/internal/control"
	"github.com/bbmd-dev/bbmd/internal/history"
)

// Apply brings the database to where its code needs it, whatever it is found
// to be, or says why it does not. Where there is nothing to do it changes nothing
// and waits for nobody. It is called by any number of processes at once.
//
// Its errors are of a [Kind]: see [KindOf].
func Apply(ctx context.Context, s Spec) (Result, error) {
	begun := s.beginOpen(ctx)
	r, err := newConfigured(s)
	if err != nil {
		begun.drop(ctx)
		return r.result, err
	}
	defer r.close(ctx)
	r.begun = begun
	if err := r.open(ctx); err != nil {
		return r.result, err
	}
	f, err := look(ctx, r.conn, r.spec, r.files)
	if err != nil {
		return r.result, err
	}
	if f.UpToDate() {
		return r.nothing(ctx, f)
	}
	err = r.exclusively(ctx, func(ctx context.Context, f Finding) error {
		if f.UpToDate() { // by another process, meanwhile
			_, err := r.nothing(ctx, f)
			return err
		}
		return r.apply(ctx, f)
	})
	return r.finish(err)
}

// run is one call of Apply, Recreate, Baseline or Stamp.
type run struct {
	spec    Spec
	files   history.Files // nil: there are none
	logger  *slog.Logger
	begun   *opening  // of conn; nil: it is opened when it is needed
	conn    *pgx.Conn // its session holds the lock
	record  *record
	models  declared // nil: they were not read yet
	began   time.Time
	created bool // the database itself
	result  Result
}

func newRun(s Spec) (*run, error) {
	s.Limits = s.Limits.orDefaults()
	r := &run{spec: s, logger: s.logger(), record: newRecord(s), began: time.Now()}
	r.result = Result{Database: s.Database, Action: ActNothing, From: []string{}, To: []string{}, Steps: []Done{}}
	files, err := openFiles(s)
	r.files = files
	return r, err
}

// newConfigured is newRun for what needs to know what the database should be.
func newConfigured(s Spec) (*run, error) {
	r, err := newRun(s)
	if err == nil && !s.Configured() {
		err = s.Validate()
	}
	return r, err
}

// open connects, and creates the database where there is none and it may be.
func (r *run) open(ctx context.Context) error {
	conn, err := r.spec.openWith(ctx, r.begun)
	if errors.Is(err, errNoDatabase) {
		f := conclude(r.spec, r.files, sight{missing: true})
		if err := r.ready(ctx, f); err != nil {
			return err
		}
		if err := r.spec.createDatabase(ctx); err != nil {
			return err
		}
		r.created = true
		conn, err = r.spec.open(ctx)
	}
	r.conn = conn
	return err
}

// ready refuses what the plan stops at, and models that cannot be read, before anything is changed.
func (r *run) ready(ctx context.Context, f Finding) error {
	switch f.Plan.Action {
	case ActStop:
		return f.Plan.refusal
	case ActCreate:
		_, err := r.readModels(ctx)
		return err
	default:
		return nil
	}
}

func (r *run) close(ctx context.Context) {
	r.record.close(ctx)
	if r.conn != nil {
		hangUp(ctx, r.conn)
	}
}

// nothing is the result of a run that had nothing to do. The checksums of files that
// others applied are recorded as they are now.
func (r *run) nothing(ctx context.Context, f Finding) (Result, error) {
	r.result.Before, r.result.Plan, r.result.From, r.result.To = f.State, f.Plan, f.Current, f.Current
	if len(f.unadopted) > 0 {
		if err := control.Install(ctx, r.conn, r.spec.ControlSchema); err != nil {
			return r.finish(r.spec.wrap("install the control schema", err))
		}
		if err := r.spec.store().RecordApplied(ctx, r.conn, r.spec.history(r.files), 0, checksums(f.unadopted)); err != nil {
			return r.finish(r.spec.wrap("adopt", err))
		}
	}
	if f.running { // and died just before it could say that it was done
		if _, err := r.spec.store().TidyRuns(ctx, r.conn); err != nil {
			return r.finish(r.spec.wrap("tidy", err))
		}
	}
	return r.finish(nil)
}

// finish completes the result.
func (r *run) finish(err error) (Result, error) {
	r.result.Seconds = time.Since(r.began).Seconds()
	if r.record.run != 0 {
		r.result.Run = r.record.run
		r.result.Steps = append(r.result.Steps, r.record.done...)
	}
	return r.result, err
}

// exclusively looks and acts under the database's lock. Nothing is changed before what is called.
func (r *run) exclusively(ctx context.Context, act func(context.Context, Finding) error) (err error) {
	if err := r.refuseStandby(ctx); err != nil {
		return err
	}
	if err := r.record.open(ctx); err != nil {
		return err
	}
	if err := r.spec.proveSession(ctx, r.conn, r.record.conn); err != nil {
		return err
	}
	waited, err := r.spec.lock(ctx, r.conn)
	if err != nil {
		return err
	}
	r.result.SecondsWaited = waited.Seconds()
	defer func() { err = errors.Join(err, r.unlock(ctx)) }()
	ended, err := endLeftovers(ctx, r.conn)
	if err != nil {
		return r.spec.wrap("lock", err)
	}
	for _, session := range ended {
		r.record.note(ctx, "ended %s, which a killed run had left", session)
	}
	f, err := look(ctx, r.conn, r.spec, r.files)
	if err != nil {
		return err
	}
	r.result.Before, r.result.Plan, r.result.From, r.result.To = f.State, f.Plan, f.Current, f.Current
	return act(ctx, f)
}

func (r *run) unlock(ctx context.Context) error {
	if r.conn.IsClosed() {
		return nil // with the session went the lock; whoever lost it has said so
	}
	had, err := r.spec.unlock(ctx, r.conn)
	if err == nil && !had {
		err = errLost
	}
	return r.spec.wrap("unlock", err)
}

func (r *run) refuseStandby(ctx context.Context) error {
	var standby bool
	if err := r.conn.QueryRow(ctx, "SELECT pg_is_in_recovery()", control.Once).Scan(&standby); err != nil {
		return r.spec.wrap("look", err)
	}
	if !standby {
		return nil
	}
	return &RefusalError{
		Database: r.spec.Database, Refusal: RefusedStandby, Reason: "the server is a standby, on which nothing can be written",
		WayOut: "point url at the primary, or name all hosts in it with target_session_attrs=primary",
	}
}

// begin clears away what an interrupted run left, and records the beginning of this one.
func (r *run) begin(ctx context.Context, f Finding, action Action, reason string) error {
	if err := control.Install(ctx, r.conn, r.spec.ControlSchema); err != nil {
		return r.spec.wrap("install the control schema", err)
	}
	if f.last != nil && f.last.Outcome != control.OutcomeFinished {
		did, err := clearIndexes(ctx, r.conn, f.last.Indexes, f.createdAgain(), r.spec.Limits)
		for _, what := range did {
			r.record.note(ctx, "%s", what)
		}
		if err != nil {
			return r.spec.wrap("clear away", err)
		}
	}
	interrupted, err := r.spec.store().InterruptRuns(ctx, r.conn)
	if err != nil {
		return r.spec.wrap("begin", err)
	}
	for _, id := range interrupted {
		r.record.note(ctx, "run %d was interrupted", id)
	}
	r.result.Action, r.result.Plan = action, f.Plan
	if err := r.record.begin(ctx, f, action, reason, r.conn); err != nil {
		return r.spec.wrap("begin", err)
	}
	r.logger.InfoContext(ctx, "run begins", "run", r.record.run, "action", action, "state", f.State, "reason", f.Plan.Why)
	if r.created {
		return r.record.do(ctx, Planned{Does: doesCreateDatabase}, func() error { return nil })
	}
	return nil
}

// end records how the run ended, and where the database is now.
func (r *run) end(ctx context.Context, failed error) error {
	failed = r.spec.wrap(string(r.result.Action), failed)
	looking := ctx
	if ctx.Err() != nil { // it was interrupted, and has led somewhere, too
		var cancel context.CancelFunc
		looking, cancel = context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
		defer cancel()
	}
	now, err := look(looking, r.conn, r.spec, r.files)
	if err == nil {
		r.result.To = now.Current
	} else if failed == nil {
		failed = err
	}
	level, message := slog.LevelInfo, "run finished"
	if failed != nil {
		level, message = slog.LevelWarn, "run failed" // its error is for who asked for the run
	}
	//nolint:sloglint // the message is one of two
	r.logger.Log(ctx, level, message, "run", r.record.run, "action", r.result.Action, "versions", r.result.To, "took", time.Since(r.began).Round(time.Millisecond))
	return r.record.end(ctx, r.result.To, failed)
}

// apply does what the finding's plan says, and after a baseline what is pending then.
func (r *run) apply(ctx context.Context, f Finding) error {
	if err := r.ready(ctx, f); err != nil {
		return err
	}
	if f.Plan.Action == ActBaseline {
		if err := r.compare(ctx, f); err != nil {
			return err
		}
	}
	if err := r.begin(ctx, f, f.Plan.Action, ""); err != nil {
		return err
	}
	return r.end(ctx, r.act(ctx, f))
}

// act does what is planned, until there is nothing left.
func (r *run) act(ctx context.Context, f Finding) error {
	rounds := 1
	if f.Plan.Action == ActBaseline {
		rounds = 2 // then what is pending after it
	}
	for range rounds {
		if err := r.once(ctx, f); err != nil {
			return err
		}
		if r.spec.History == Command { // only the command knows
			return nil
		}
		var err error
		before := f
		if f, err = look(ctx, r.conn, r.spec, r.files); err != nil {
			return err
		}
		if before.Plan.Action == ActBaseline && f.Plan.Action == ActBaseline { // at the base: nothing was applied, and the version table says no more
			f.State, f.Plan = Versioned, planVersioned(r.spec, f)
		}
		switch f.Plan.Action {
		case ActNothing:
			return nil
		case ActStop:
			return f.Plan.refusal
		default:
		}
	}
	return &FailedError{Database: r.spec.Database, Err: fmt.Errorf("everything was run, and it is %s (%s) with pending: %s", f.State, f.Reason, pendingOf(f))}
}

func (r *run) once(ctx context.Context, f Finding) error {
	switch f.Plan.Action {
	case ActCreate:
		return r.create(ctx, f)
	case ActBaseline:
		return r.stampBaseline(ctx, f)
	default:
		return r.migrate(ctx, f)
	}
}

func pendingOf(f Finding) string {
	versions := make([]string, 0, len(f.Pending))
	for _, step := range f.Pending {
		versions = append(versions, step.Version)
	}
	if len(versions) == 0 {
		return "nothing"
	}
	return few(versions)
}
