package throttle_test

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/internal/throttle"
)

// world is a sampler in a bubble of fake time, and the server that it reads.
type world struct {
	*testing.T

	sampler *throttle.Sampler
	stop    context.CancelFunc
	ended   chan error

	mu         sync.Mutex
	answers    map[string]string
	errs       map[string]error // of single signals
	err        error            // of every statement
	slow       time.Duration    // what a statement takes
	statements [][]string
	custom     func(sql string) (any, error)
	customs    int
	changes    []string
	log        strings.Builder
}

// healthy is what a server at rest answers.
func healthy() map[string]string {
	return map[string]string{
		"traffic":         `{"sessions": 0, "hidden": 0, "silent": 0, "role": "app"}`,
		"busy":            `{"active": 0, "hidden": 0, "silent": 0, "local": false, "role": "app"}`,
		"blocked":         `[]`,
		"replica_lag":     `{"flushed": null, "standbys": [], "slots": [], "role": "app"}`,
		"archive_backlog": `{"off": true}`,
		"autovacuum":      `[]`,
		"wal_rate":        `1000`,
		"xmin":            `[]`,
	}
}

// inWorld runs a test in fake time, with a sampler that runs.
func inWorld(t *testing.T, c throttle.Config, test func(w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := &world{T: t, answers: healthy(), errs: map[string]error{}, ended: make(chan error, 1)}
		w.sampler = throttle.NewFake(throttle.Options{
			Config: c, Logger: slog.New(slog.NewTextHandler(&w.log, nil)),
			OnChange: func(migration string, v throttle.Verdict) {
				w.mu.Lock()
				defer w.mu.Unlock()
				w.changes = append(w.changes, fmt.Sprintf("%s %s %s", migration, v.Action, v.Signal))
			},
		}, &throttle.Fake{Read: w.read, Custom: w.readCustom})
		ctx, stop := context.WithCancel(t.Context())
		w.stop = stop
		go func() { w.ended <- w.sampler.Run(ctx) }()
		test(w)
		stop()
		require.ErrorIs(t, <-w.ended, context.Canceled)
	})
}

func (w *world) read(ctx context.Context, signals []string) ([][]byte, error) {
	w.mu.Lock()
	w.statements = append(w.statements, signals)
	slow, err := w.slow, w.err
	var answers [][]byte
	for _, signal := range signals {
		if single := w.errs[signal]; err == nil {
			err = single
		}
		answers = append(answers, []byte(w.answers[signal]))
	}
	w.mu.Unlock()
	if slow > 0 {
		select {
		case <-time.After(slow):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	if err != nil {
		return nil, err
	}
	return answers, nil
}

func (w *world) readCustom(_ context.Context, sql string) (any, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.customs++
	return w.custom(sql)
}

// begin begins a migration and waits until it was measured.
func (w *world) begin(scope throttle.Scope) *throttle.Activity {
	w.Helper()
	a, err := w.sampler.Begin(scope)
	require.NoError(w, err)
	synctest.Wait()
	return a
}

// answer changes what a signal reads, and lets everything be read once more.
func (w *world) answer(signal, answer string) {
	w.set(func() { w.answers[signal] = answer })
	w.pass(5 * time.Second)
}

func (w *world) set(change func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	change()
}

// pass lets fake time pass, and everybody do what there is to do by then.
func (w *world) pass(d time.Duration) {
	w.Helper()
	timer := time.NewTimer(d)
	<-timer.C
	synctest.Wait()
}

func (w *world) customsSoFar() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.customs
}

// taken returns and forgets the statements so far.
func (w *world) taken() [][]string {
	w.mu.Lock()
	defer w.mu.Unlock()
	taken := w.statements
	w.statements = nil
	return taken
}

// state is a signal's part of the report.
func state(t *testing.T, a *throttle.Activity, signal string) throttle.State {
	t.Helper()
	for _, s := range a.Report().Signals {
		if s.Signal == signal {
			return s
		}
	}
	require.Fail(t, "no such signal", "%s is not in %v", signal, a.Report().Signals)
	return throttle.State{}
}

// only is a configuration in which the named signals alone are on.
func only(signals ...string) throttle.Config {
	c := throttle.Default()
	modes := map[string]*throttle.Mode{
		"traffic": &c.Traffic.Mode, "busy": &c.Busy.Mode, "blocked": &c.Blocked.Mode, "replica_lag": &c.ReplicaLag.Mode,
		"archive_backlog": &c.ArchiveBacklog.Mode, "autovacuum": &c.Autovacuum.Mode, "xmin": &c.Xmin.Mode,
	}
	for _, signal := range signals {
		delete(modes, signal)
	}
	for mode := range maps.Values(modes) {
		*mode = throttle.Off
	}
	return c
}

// at is a moment of the bubble's first day, which begins on Saturday,
// 2000-01-01 00:00 UTC.
func since(start time.Time) time.Duration { return time.Since(start).Round(time.Millisecond) }

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }
