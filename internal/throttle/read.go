package throttle

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// outcome is what became of one signal's reading.
type outcome struct {
	slot   *slot
	answer []byte
	err    error
}

// readAll reads signals in one statement. One that the server refuses spoils
// it for all: then each is read by itself, and the culprit from then on.
func (s *Sampler) readAll(ctx context.Context, due []*slot, args pgx.NamedArgs) []outcome {
	var together, apart []*slot
	for _, one := range due {
		if one.alone {
			apart = append(apart, one)
		} else {
			together = append(together, one)
		}
	}
	outcomes, err := s.readTogether(ctx, together, args)
	if refused(err) && len(together) > 1 {
		outcomes, apart = nil, due
	}
	for _, one := range apart {
		alone, err := s.readTogether(ctx, []*slot{one}, args)
		one.alone = refused(err)
		outcomes = append(outcomes, alone...)
	}
	return outcomes
}

// readTogether reads signals in one statement. All of them have its error.
func (s *Sampler) readTogether(ctx context.Context, slots []*slot, args pgx.NamedArgs) ([]outcome, error) {
	if len(slots) == 0 {
		return nil, nil
	}
	queries := make([]string, len(slots))
	for i, slot := range slots {
		queries[i] = slot.query()
	}
	answers, err := s.server.read(ctx, queries, args)
	outcomes := make([]outcome, len(slots))
	for i, slot := range slots {
		outcomes[i] = outcome{slot: slot, err: classify(err)}
		if err == nil {
			outcomes[i].answer = answers[i]
		}
	}
	return outcomes, err
}

// refused reports whether the server has answered with an error that is the
// statement's own, and not that it has no time or goes away.
func refused(err error) bool {
	var pgErr *pgconn.PgError
	return errors.As(err, &pgErr) && !strings.HasPrefix(pgErr.Code, "57")
}

// takeAll takes in what was read, and when it was asked for.
func (s *Sampler) takeAll(ctx context.Context, outcomes []outcome, measured []*scope, began time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	s.cost = min(now.Sub(began), max(s.cost*6/5, time.Millisecond)) // rises slowly: most of one long answer is waiting
	s.failing = true
	for _, o := range outcomes {
		o.slot.tried = began
		news := o.slot.take(o.answer, o.err, now)
		s.failing = s.failing && o.slot.err != nil && !o.slot.read.Equal(now)
		if news {
			s.report(ctx, o.slot.name(), o.slot.err)
		}
	}
	for _, sc := range measured {
		sc.measured = true
	}
}

// report logs that a signal cannot be read, or can be again.
func (s *Sampler) report(ctx context.Context, signal string, err error) {
	if err != nil {
		s.log.WarnContext(ctx, "throttle signal cannot be read", "signal", signal, "error", err)
		return
	}
	s.log.InfoContext(ctx, "throttle signal can be read again", "signal", signal)
}

// runCustoms starts the custom queries that are due, beside everything else,
// and forgets those that nobody wants any more.
func (s *Sampler) runCustoms(ctx context.Context, queries *sync.WaitGroup, now time.Time) {
	wanted := map[customKey]bool{}
	for _, sc := range s.scopes {
		c := sc.config(now)
		if shut, _ := sc.shut(now); shut || !c.Enabled {
			continue
		}
		for _, query := range c.Custom {
			wanted[query.key()] = true
		}
	}
	for key, slot := range s.customs {
		if !wanted[key] && !slot.running {
			delete(s.customs, key)
		}
	}
	for key := range wanted {
		slot := s.customs[key]
		if slot == nil {
			slot = &customSlot{}
			s.customs[key] = slot
		}
		if slot.running || now.Sub(slot.tried) < time.Duration(key.every) {
			continue
		}
		slot.running, slot.tried = true, now
		queries.Go(func() { s.runCustom(ctx, key, slot) })
	}
}

func (s *Sampler) runCustom(ctx context.Context, key customKey, slot *customSlot) {
	a, err := s.server.custom(ctx, key)
	s.mu.Lock()
	defer s.mu.Unlock()
	if slot.take(a, err, time.Now()) && ctx.Err() == nil {
		s.report(ctx, customPrefix+key.sql, err)
	}
	s.kick()
}

// lasting is how long a stop stands before the log hears of it: one that lets
// a waiting session through is not worth a line.
const lasting = 5 * time.Second

// change is what became of one migration.
type change struct {
	migration string
	verdict   Verdict
	tell      bool // OnChange
	level     slog.Level
	message   string // of the log; empty: none
}

// evaluate judges all migrations, and returns what is to be told.
func (s *Sampler) evaluate(now time.Time) (changes []change) {
	s.mu.Lock()
	defer s.mu.Unlock()
	workers := s.workers()
	for _, sc := range s.scopes {
		sc.evaluate(s.slots, s.customs, workers, now)
		c := change{migration: sc.Migration, verdict: sc.current.Load().report.Verdict}
		c.tell = c.verdict.Action != sc.told.Action || c.verdict.Signal != sc.told.Signal
		shut, _ := sc.shut(now)
		stands := c.verdict.Action == Stop && (shut || now.Sub(c.verdict.Since) >= lasting)
		switch {
		case stands && !sc.logged:
			sc.logged, c.message, c.level = true, "throttled", slog.LevelInfo
		case sc.logged && c.verdict.Action != Stop:
			sc.logged, c.message, c.level = false, "not throttled any more", slog.LevelInfo
		case c.verdict.Action != sc.told.Action:
			c.message, c.level = "throttle changed", slog.LevelDebug
		}
		if c.tell || c.message != "" {
			changes = append(changes, c)
		}
		sc.told = c.verdict
	}
	return changes
}

func (c change) log(ctx context.Context, log *slog.Logger) {
	if c.message == "" {
		return
	}
	//nolint:sloglint // the message is one of three
	log.Log(ctx, c.level, c.message, "migration", c.migration, "verdict", c.verdict.Action.String(), "duty", c.verdict.Duty,
		"signal", c.verdict.Signal, "reason", c.verdict.Reason, "since", c.verdict.Since)
}
