package demo

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/bbmd-dev/bbmd/internal/control"
	"github.com/bbmd-dev/bbmd/internal/status"
	"github.com/bbmd-dev/bbmd/internal/terminal"
)

// underWay reports whether so much is done, or nearly all of it: progress is
// told once a second, and a fast machine has not many seconds to spend.
func underWay(percent float64) func(*control.Progress) bool {
	return func(p *control.Progress) bool {
		return p.Status == control.StatusRunning && p.Keys > 0 && (p.Percent >= percent || p.SecondsLeft != nil && *p.SecondsLeft < 2)
	}
}

var errTooFast = errors.New("the migration was over before that could be shown: try a greater --scale")

// pause pauses the migration, sees that nothing moves, and resumes it.
func (s *story) pause(ctx context.Context) error {
	if _, err := s.until(ctx, s.daemon, underWay(20)); err != nil {
		return err
	}
	s.step("Pause, and resume")
	if err := s.exec(ctx, fmt.Sprintf("SELECT bbm.pause('%s');", migration)); err != nil {
		return err
	}
	paused, err := s.until(ctx, s.daemon, func(p *control.Progress) bool { return p.Status == control.StatusPaused && p.RunningJobs == 0 })
	if err != nil {
		return err
	}
	before, err := s.changes(ctx)
	if err != nil {
		return err
	}
	const watched = time.Second
	if err := wait(ctx, watched); err != nil {
		return err
	}
	after, err := s.changes(ctx)
	if err != nil {
		return err
	}
	if before != after {
		return fmt.Errorf("a paused migration went on: %d rows were changed, and %d %s later", before, after, terminal.Duration(watched))
	}
	s.fact("At %s, %s rows changed, and %s later %s: nothing moves.", terminal.Percent(paused.Percent),
		terminal.Count(before), terminal.Duration(watched), terminal.Count(after))
	return s.exec(ctx, fmt.Sprintf("SELECT bbm.resume('%s');", migration))
}

// changes returns how many changes there were to the table.
func (s *story) changes(ctx context.Context) (n int64, err error) {
	if err := s.conn.QueryRow(ctx, "SELECT sum(abalance)::bigint FROM "+table).Scan(&n); err != nil {
		return 0, fmt.Errorf("count the changes: %w", err)
	}
	return n, nil
}

// exec shows and runs a statement.
func (s *story) exec(ctx context.Context, sql string) error {
	s.sql(sql)
	if _, err := s.conn.Exec(ctx, sql); err != nil {
		return fmt.Errorf("%s: %w", sql, err)
	}
	return nil
}

// wait lets time pass.
func wait(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(d):
		return nil
	}
}

// kill kills the daemon in the middle of its work, and starts another one.
func (s *story) kill(ctx context.Context) error {
	killed, err := s.until(ctx, s.daemon, func(p *control.Progress) bool { return p.Over() || underWay(50)(p) })
	if err != nil {
		return err
	}
	if killed.Over() {
		return errTooFast
	}
	s.step("kill -9")
	old := s.daemon
	if err := old.kill(ctx); err != nil {
		return err
	}
	s.fact("Process %d is gone, at %s. What it had not committed, the server rolls back.", old.pid(), terminal.Percent(killed.Percent))
	counted, err := control.Store{}.Progress(ctx, s.conn, control.Selection{Names: []string{migration}})
	if err != nil {
		return err
	}
	began := time.Now()
	if err := s.spawn(ctx, old.config()); err != nil {
		return err
	}
	s.fact("A new one, process %d, listens after %s.", s.daemon.pid(), terminal.Duration(time.Since(began)))
	if _, err := s.until(ctx, s.daemon, func(p *control.Progress) bool { return p.Over() || p.Keys > counted[0].Keys }); err != nil {
		return err
	}
	if n := s.daemon.sum("took over the jobs of a dead worker"); n > 0 {
		s.fact("It took over %s batches that the dead one had claimed and not finished, and goes on.", terminal.Count(n))
	}
	return nil
}

// hurry makes the batches of the rest greater.
func (s *story) hurry(ctx context.Context) error {
	s.step("A knob, turned while it runs")
	s.fact("The batches were small so far, to have something to watch. The rest is faster.")
	return s.exec(ctx, fmt.Sprintf("UPDATE bbm.batched_background_migrations\nSET batch_size = %d WHERE name = '%s';", greater, migration))
}

// finish waits for the end.
func (s *story) finish(ctx context.Context) error {
	done, err := s.until(ctx, s.daemon, func(p *control.Progress) bool { return p.Over() })
	if err != nil {
		return err
	}
	s.leave()
	if done.Status != control.StatusFinished {
		return fmt.Errorf("the migration is %s: %s", done.Status, status.Reason(done))
	}
	if missing := s.rows() - done.Keys; missing > 0 {
		s.fact("(The progress lacks %s rows, which the killed process had changed and not yet counted.)", terminal.Count(missing))
	}
	return nil
}
