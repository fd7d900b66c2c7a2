package executor

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/bbmd-dev/bbmd/internal/control"
)

// run works until nothing is left to start. Errors say how to go on: a
// [refusal] fails the migration, a [waiting] is looked at again, [errNoSlot] means that
// others are at it, anything else is tried again on a new session.
func (w *worker) run(ctx context.Context) error {
	opened := w.opens(ctx)
	defer w.closing.Go(func() { opened.close(ctx) }) // whoever waits for the worker's end waits for that, and counts meanwhile
	p, err := w.look(ctx)
	if err != nil {
		return err
	}
	defer w.endThrottle()
	if w.session, err = opened.wait(ctx); err != nil {
		return err
	}
	w.epoch.Store(w.session.epoch)
	w.place.Store(w.session.slot + 1)
	if a := w.activity.Load(); a != nil {
		a.Backends(w.session.pid) // whoever waits for its locks counts
	}
	err = w.process(ctx, p)
	w.session.failed = err != nil
	return err
}

// look finds out, on the control pool, what is to be done and whether it can begin.
func (w *worker) look(ctx context.Context) (plan, error) {
	if err := w.lookAtTable(ctx); err != nil {
		return plan{}, err
	}
	c := &w.candidate
	if !c.Started() {
		if err := w.preflight(ctx); err != nil {
			return plan{}, err
		}
	}
	if err := w.beginThrottle(); err != nil {
		return plan{}, err
	}
	p, err := w.plan(ctx)
	if err == nil && c.Status == control.StatusActive && !c.Started() {
		err = w.findBounds(ctx)
	}
	if err != nil {
		w.endThrottle()
	}
	return p, err
}

// opening is a session that is opened while the table is looked up.
type opening struct {
	open   func(connecting context.Context) (*session, error) // nil: it was begun
	cancel context.CancelFunc
	ended  chan struct{}
	got    *session
	err    error
}

// opens begins to open the worker's session, unless it is known that the migration waits for others.
func (w *worker) opens(ctx context.Context) *opening {
	o := &opening{open: func(connecting context.Context) (*session, error) {
		return openSession(ctx, connecting, w.opts, w.spares, &w.candidate, w.settings)
	}}
	if !w.barriers.holds(w.candidate.ID) {
		o.begin(ctx)
	}
	return o
}

func (o *opening) begin(ctx context.Context) {
	open := o.open
	ctx, o.cancel = context.WithCancel(ctx)
	o.open, o.ended = nil, make(chan struct{})
	go func() {
		defer close(o.ended)
		o.got, o.err = open(ctx)
	}()
}

// wait returns the session, which stays the opening's to close.
func (o *opening) wait(ctx context.Context) (*session, error) {
	if o.open != nil {
		o.begin(ctx)
	}
	<-o.ended
	return o.got, o.err
}

// close ends the session, or what was to become it.
func (o *opening) close(ctx context.Context) {
	if o.open != nil {
		return
	}
	o.cancel()
	<-o.ended
	if o.got != nil {
		o.got.close(ctx)
	}
}

// process starts the migration if need be and runs its batches in the form that the Work allows.
func (w *worker) process(ctx context.Context, p plan) error {
	if going, err := w.begin(ctx, p); err != nil || !going {
		return err
	}
	if w.candidate.Processed() {
		return w.verify(ctx)
	}
	claims := &claimer{
		migration: w.candidate.ID, epoch: w.session.epoch, maxValue: value(w.candidate.MaxValue), blockTime: blockTime, first: inlineFirst, most: mostBatches,
		sizer: newSizer(limitsOf(w.candidate.Knobs, w.settings.TargetDuration), value(w.candidate.LastBatchSize)), target: w.settings.TargetDuration,
		follow: w.follow, claimed: w.claimed,
	}
	w.pause.Store(int64(w.candidate.Knobs.Pause))
	w.sizer.Store(claims.sizer)
	return w.batches(ctx, p, &source{claims: claims, nearEnd: w.nearEnd, open: !w.candidate.ChainComplete, due: w.candidate.DueIn != nil && *w.candidate.DueIn <= 0})
}

// errEpochUsed is why a worker gives an epoch up.
var errEpochUsed = errors.New("jobs are running under the owner epoch that the sequence has just given: it has begun anew; they are taken over, and the next epoch is tried")

// begin prepares the session for the plan's batches, and makes the migration running meanwhile. Nothing is claimed before it
// returns. It reports false when there is nothing to process.
func (w *worker) begin(ctx context.Context, p plan) (going bool, err error) {
	ours, claims := w.statements(p), []statement(nil)
	pipeline := w.session.conn.PgConn().StartPipeline(ctx)
	defer func() {
		if closeErr := closePipeline(pipeline); err == nil {
			err = closeErr
		}
	}()
	sendGroup(pipeline, ours)
	if w.target.null == "" {
		claims = claimStatements(w.opts.Store, w.target.lookups(p.wantStart))
		sendGroup(pipeline, claims)
	}
	if err := flush(pipeline); err != nil {
		return false, err
	}
	used, err := w.opts.Store.EpochInUse(ctx, w.opts.Pool, w.session.epoch) // here, since it is planned there
	switch {
	case err != nil:
		return false, err
	case used:
		return false, errEpochUsed
	}
	if err := readAnswers(pipeline, ours); err != nil {
		return false, w.refusedStatement(p, err)
	}
	w.query = p.next
	if err := w.pass(0); err != nil {
		return false, err
	}
	if going, err = w.goes(ctx); err != nil || !going || claims == nil {
		return going, err
	}
	if err := readAnswers(pipeline, claims); err != nil {
		return false, &claimError{err}
	}
	return true, nil
}

// goes makes an active migration running, and says of a running one that it moves.
func (w *worker) goes(ctx context.Context) (bool, error) {
	if w.candidate.Status == control.StatusActive {
		return w.start(ctx)
	}
	// Unconditionally: somebody may have written one since the scan.
	err := w.opts.Store.SetReason(ctx, w.opts.Pool, w.candidate.ID, "")
	return err == nil, err
}

// staleBounds is for how long the range of a migration that is about to start holds. Who
// was kept from starting computes it anew, or rows that came meanwhile would be left out.
const staleBounds = time.Second

func (w *worker) findBounds(ctx context.Context) (err error) {
	c := &w.candidate
	if w.target.null != "" {
		return nil
	}
	if w.bounded.IsZero() {
		w.given = [2]*string{c.MinValue, c.MaxValue}
	}
	given := *c
	given.MinValue, given.MaxValue = w.given[0], w.given[1]
	w.bounded = time.Now()
	c.MinValue, c.MaxValue, err = w.target.bounds(ctx, w.opts.Pool, &given)
	return err
}

// start makes an active migration running. It reports false when there is nothing to process.
func (w *worker) start(ctx context.Context) (bool, error) {
	c, store, pool := &w.candidate, w.opts.Store, w.opts.Pool
	var ok bool
	var err error
	if c.Started() {
		ok, err = store.GoOn(ctx, pool, c.ID)
	} else {
		if time.Since(w.bounded) > staleBounds {
			if err := w.findBounds(ctx); err != nil {
				return false, err
			}
		}
		if c.MaxValue == nil && w.target.null == "" {
			ended, err := store.FinishEmpty(ctx, pool, c.ID)
			if ended {
				w.log.InfoContext(ctx, "migration finished: no rows in its range")
				w.opts.Observer.MigrationEnded(c.Name, control.StatusFinished)
			}
			return false, err
		}
		ok, err = store.Start(ctx, pool, c.ID, w.recordable())
	}
	var pgErr *pgconn.PgError
	if errors.As(err, &pgErr) && pgErr.Code == uniqueViolation {
		return false, &waiting{reason: "waits for another migration that is running on " + w.target.table}
	}
	if ok {
		w.log.InfoContext(ctx, "migration running", "table", w.target.table, "min_value", value(c.MinValue), "max_value", value(c.MaxValue), "batch_size", c.Knobs.BatchSize)
	}
	return ok, err
}

// batches runs the migration's batches in the form that the plan gives them.
func (w *worker) batches(ctx context.Context, p plan, s *source) error {
	if w.target.null != "" {
		e := newExplicit(w, s, p.run)
		e.nulls = &nulls{worker: w}
		return e.run(ctx)
	}
	if w.target.scattered() {
		s.claims.first, s.claims.blockTime = scatteredFirst, scatteredBlockTime
	}
	if w.looksAhead(p) {
		s.alone = func(cause error) {
			w.log.WarnContext(ctx, "no second connection: batches wait for their look-ups", "error", cause)
		}
		s.begin = func() *lookAhead {
			return startLookAhead(ctx, func(connecting context.Context) (*pgx.Conn, error) { return w.openAhead(ctx, connecting, p) }, w.spares, s.claims)
		}
	}
	defer func() {
		if s.ahead != nil {
			s.ahead.close()
		}
	}()
	if p.run != nil {
		return newExplicit(w, s, p.run).run(ctx)
	}
	return newPipelined(w, s, p).run(ctx)
}

// looksAhead reports whether a second connection cuts the next batches while the first is at work. That saves the time of
// the look-ups, and costs a little more of the processor's: several workers of one migration keep the server busy as it is, and
// only have it where looking up is dear, or would be waited for.
func (w *worker) looksAhead(p plan) bool {
	return p.run != nil || w.target.scattered() || w.candidate.Parallelism == 1
}

// openAhead opens the worker's second connection, of the same owner: nobody may take it for
// dead while either lives.
func (w *worker) openAhead(ctx, connecting context.Context, p plan) (*pgx.Conn, error) {
	shared := false
	e := entry{opts: w.opts, spares: w.spares, settings: w.settings, take: func(pid string) [][]statement {
		return [][]statement{
			{{sql: w.opts.Store.ShareEpochSQL(), args: []string{number(w.session.epoch), pid}, row: func(row [][]byte) { shared = string(row[0]) == "t" }}},
			claimStatements(w.opts.Store, w.target.lookups(p.wantStart)),
		}
	}}
	conn, err := e.connect(ctx, connecting, w.candidate.Name)
	switch {
	case err == nil && !shared:
		closeConn(ctx, conn)
		return nil, errLost
	case err != nil:
		return nil, &noAheadError{err}
	}
	return conn, nil
}
