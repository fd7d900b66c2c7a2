package demo

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/bbmd-dev/bbmd/internal/control"
	"github.com/bbmd-dev/bbmd/internal/status"
	"github.com/bbmd-dev/bbmd/notify"
)

// audience follows the migration while the story goes on.
type audience struct {
	view   status.View
	gone   func() // ends the following, waits for it and shows the last state
	failed chan struct{}

	mu      sync.Mutex
	latest  *control.Progress
	err     error
	changed chan struct{} // closed at the next look
}

// watchName is what pg_stat_activity shows for who watches, as it does for `bbmd status --watch`: a daemon gives way
// to others' traffic, and this is none.
const watchName = "bbmd/demo/watch"

// arrive begins to follow, and sends the story above what it shows.
func (a *audience) arrive(ctx context.Context, url string, t *teller) error {
	source, err := notify.NewListener(notify.ListenerConfig{URL: url, Name: watchName})
	if err != nil {
		return fmt.Errorf("follow the migration: %w", err)
	}
	config, err := pgx.ParseConfig(url)
	if err != nil {
		return fmt.Errorf("follow the migration: %w", err)
	}
	config.RuntimeParams["application_name"] = watchName
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return fmt.Errorf("follow the migration: %w", err)
	}
	t.say("\n")
	a.changed, a.failed = make(chan struct{}), make(chan struct{})
	a.view = status.NewView(ctx, t.screen, time.Local)
	t.redirect(a.view)
	ctx, cancel := context.WithCancel(ctx)
	follower := status.Follower{
		Source: source,
		Look: func(ctx context.Context) ([]control.Progress, error) {
			return control.Store{}.Progress(ctx, conn, control.Selection{Names: []string{migration}})
		},
		View: a.view,
		Seen: a.saw,
	}
	var following sync.WaitGroup
	following.Go(func() {
		_, err := follower.Run(ctx)
		a.end(err)
	})
	a.gone = func() {
		cancel()
		following.Wait()
		a.view.Close()
		t.redirect(t.screen.Out)
		closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		_ = conn.Close(closing) // it has served
	}
	return nil
}

// leave ends the following, if it has begun and not ended.
func (a *audience) leave() {
	if a.gone != nil {
		a.gone()
		a.gone = nil
	}
}

func (a *audience) saw(all []control.Progress) {
	a.mu.Lock()
	defer a.mu.Unlock()
	p := all[0]
	a.latest = &p
	close(a.changed)
	a.changed = make(chan struct{})
}

func (a *audience) end(err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.err = err
	close(a.failed)
}

// until waits until the migration is as wanted, and returns it. It gives up when
// the migration fails, or the daemon ends.
func (a *audience) until(ctx context.Context, d *daemonProcess, wanted func(*control.Progress) bool) (*control.Progress, error) {
	for {
		a.mu.Lock()
		latest, changed, err := a.latest, a.changed, a.err
		a.mu.Unlock()
		switch {
		case latest != nil && wanted(latest):
			return latest, nil
		case latest != nil && latest.Status == control.StatusFinished:
			return nil, errTooFast
		case latest != nil && latest.Over():
			return nil, fmt.Errorf("the migration is %s: %s", latest.Status, status.Reason(latest))
		case err != nil:
			return nil, fmt.Errorf("follow the migration: %w", err)
		}
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-d.ended:
			return nil, errors.New("the daemon has ended")
		case <-a.failed:
		case <-changed:
		}
	}
}
