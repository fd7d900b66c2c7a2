package status_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/internal/control"
	"github.com/bbmd-dev/bbmd/internal/status"
	"github.com/bbmd-dev/bbmd/internal/terminal"
	"github.com/bbmd-dev/bbmd/notify"
)

// events is a source that delivers what a test says.
type events chan notify.Event

func (e events) Run(ctx context.Context, deliver func(notify.Event)) error {
	deliver(notify.Event{})
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case event := <-e:
			deliver(event)
		}
	}
}

// world is what a follower under test looks at.
type world struct {
	mu     sync.Mutex
	now    []control.Progress
	err    error
	looks  int
	events events
}

func (w *world) change(what func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	what()
}

func (w *world) look(context.Context) ([]control.Progress, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.looks++
	return append([]control.Progress(nil), w.now...), w.err
}

func (w *world) count() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.looks
}

// pass lets fake time pass, and everybody do what is to be done by then.
func pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

// follow runs a follower in a bubble of fake time; result waits for its end.
func follow(ctx context.Context, w *world, out *syncBuffer) (result func() ([]control.Progress, error)) {
	type ended struct {
		all []control.Progress
		err error
	}
	done := make(chan ended, 1)
	f := status.Follower{Source: w.events, Look: w.look, View: status.NewView(ctx, terminal.Screen{Out: out}, time.UTC)}
	go func() {
		all, err := f.Run(ctx)
		done <- ended{all, err}
	}()
	return func() ([]control.Progress, error) {
		e := <-done
		return e.all, e.err
	}
}

func running() *world {
	return &world{now: everything()[:1], events: make(events)}
}

func TestFollowerLooksAtEventsAndNeverElse(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := running()
		var out syncBuffer
		result := follow(t.Context(), w, &out)
		pass(time.Hour)
		require.Equal(t, 2, w.count(), "at the resync, and once more when that has settled")

		w.change(func() { w.now[0].Keys = 500_000 })
		w.events <- notify.Event{Channel: notify.ChannelProgress}
		pass(time.Hour)
		require.Equal(t, 4, w.count())
		require.Equal(t, 2, strings.Count(out.String(), "\n"), "a line for a change")

		w.change(func() { w.now[0].Status = "finished" })
		w.events <- notify.Event{Channel: notify.ChannelStatus}
		all, err := result()
		require.NoError(t, err)
		require.Equal(t, "finished", all[0].Status)
		require.Equal(t, 5, w.count())
	})
}

func TestFollowerSeesAReasonThatIsWrittenAfterItsEvent(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := running()
		var out syncBuffer
		ctx, cancel := context.WithCancel(t.Context())
		result := follow(ctx, w, &out)
		pass(100 * time.Millisecond)
		w.change(func() { w.now[0].Reason = new("waits for the moon") })
		pass(2 * time.Second)
		require.Contains(t, out.String(), "waits for the moon")
		cancel()
		_, err := result()
		require.ErrorIs(t, err, context.Canceled)
	})
}

func TestFollowerTellsWhatItLeftOut(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := running()
		var out syncBuffer
		ctx, cancel := context.WithCancel(t.Context())
		result := follow(ctx, w, &out)
		pass(10 * time.Second)
		for i := range 30 { // a burst of progress
			w.change(func() { w.now[0].Keys += 1 })
			w.events <- notify.Event{Channel: notify.ChannelProgress}
			pass(time.Millisecond * time.Duration(i))
		}
		pass(10 * time.Second)
		require.Equal(t, 3, strings.Count(out.String(), "\n"), out.String())
		require.Contains(t, out.String(), "432,030")
		cancel()
		_, err := result()
		require.Error(t, err)
	})
}

func TestFollowerWaitsForADatabaseThatIsAway(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := running()
		w.err = fmt.Errorf("%w: connection refused", status.ErrUnreachable)
		var out syncBuffer
		result := follow(t.Context(), w, &out)
		pass(time.Minute)
		require.Equal(t, "the database cannot be reached: connection refused (waiting for it)\n", out.String(), "said once")
		w.change(func() { w.err, w.now[0].Status = nil, "finished" })
		_, err := result()
		require.NoError(t, err)
	})
}

func TestFollowerEndsAtAnError(t *testing.T) {
	t.Parallel()
	w := running()
	w.err = errors.New("permission denied")
	var out syncBuffer
	_, err := follow(t.Context(), w, &out)()
	require.EqualError(t, err, "permission denied")
}

func TestFollowerHasNothingToFollow(t *testing.T) {
	t.Parallel()
	w := &world{events: make(events)}
	var out syncBuffer
	all, err := follow(t.Context(), w, &out)()
	require.NoError(t, err)
	require.Empty(t, all)
}

func TestFollowerMeasuresSpeed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := running()
		var out syncBuffer
		ctx, cancel := context.WithCancel(t.Context())
		result := follow(ctx, w, &out)
		for range 5 {
			pass(time.Second)
			w.change(func() { w.now[0].Keys += 2000 })
			w.events <- notify.Event{Channel: notify.ChannelProgress}
		}
		pass(time.Second)
		lines := strings.Split(strings.TrimSpace(out.String()), "\n")
		require.Contains(t, lines[0], "152k/s", "what the database says")
		require.Contains(t, lines[len(lines)-1], "2.0k/s  4m 39s left")
		cancel()
		_, err := result()
		require.Error(t, err)
	})
}

func TestBarsShowAMigration(t *testing.T) {
	t.Parallel()
	var out syncBuffer
	view := status.NewView(t.Context(), terminal.Screen{Out: &out, Live: true, Width: 110}, time.UTC)
	_, err := view.Show(time.Now(), everything())
	require.NoError(t, err)
	view.Close()
	golden(t, "bars.txt", out.lastFrame())
}

// syncBuffer is a buffer that mpb writes to from its own goroutine.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

func (s *syncBuffer) lastFrame() string {
	text := s.String()
	if at := strings.LastIndex(text, "\x1b[J"); at >= 0 {
		text = text[at+len("\x1b[J"):]
	}
	return text
}
