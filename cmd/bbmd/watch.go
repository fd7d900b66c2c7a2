package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/bbmd-dev/bbmd/internal/control"
	"github.com/bbmd-dev/bbmd/internal/status"
	"github.com/bbmd-dev/bbmd/notify"
)

const (
	exitMigration   = 65  // a migration failed
	exitInterrupted = 130 // as shells have it
	exitTerminated  = 143
)

// watch follows migrations until they are over: the named ones, or all that are
// not over and those that come meanwhile.
func (a *app) watch(cmd *cobra.Command, c *connection, names []string, asJSON bool) error {
	w := &watcher{a: a, cmd: cmd, c: c, names: names, followed: map[string]bool{}}
	if err := w.begin(); err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(cmd.Context())
	defer cancel(nil)
	source, err := w.source(cancel)
	if err != nil {
		return err
	}
	view := status.NewView(cmd.Context(), a.screen(), time.Local)
	if asJSON {
		view = status.NewJSONView(a.out)
	}
	follower := status.Follower{Source: source, Look: w.look, View: view}
	all, err := follower.Run(ctx)
	view.Close()
	switch {
	case cmd.Context().Err() != nil:
		return withCode(exitInterrupted, errors.New("not watching any more: the migrations go on without it"))
	case err != nil:
		return err
	case len(all) == 0 && !asJSON:
		return a.printf("nothing to watch: no migration is under way\n")
	}
	return verdict(all)
}

// verdict is an error when a migration did not finish.
func verdict(all []control.Progress) error {
	var problems []error
	for i := range all {
		p := &all[i]
		switch {
		case p.Status == control.StatusFailed && p.Error != nil:
			problems = append(problems, fmt.Errorf("migration %q failed: %s: mend the cause, then `bbmd retry %s`", p.Name, status.Reason(p), p.Name))
		case p.Status != control.StatusFinished:
			problems = append(problems, fmt.Errorf("migration %q is %s", p.Name, p.Status))
		}
	}
	return withCode(exitMigration, errors.Join(problems...))
}

// watcher looks for a follower, on the command's connection, and on a new one
// where that was lost.
type watcher struct {
	a        *app
	cmd      *cobra.Command
	c        *connection
	names    []string
	followed map[string]bool // seen under way, so that their end is shown as well
}

// begin makes sure that the names exist.
func (w *watcher) begin() error {
	if len(w.names) == 0 {
		return nil
	}
	found, err := w.c.Store.Progress(w.cmd.Context(), w.c, control.Selection{Names: w.names})
	if err != nil {
		return err
	}
	return w.c.missing(w.cmd, w.names, found)
}

// source returns a listener. Where it never comes to listen, it gives up.
func (w *watcher) source(giveUp context.CancelCauseFunc) (notify.Source, error) {
	url, err := w.c.Config.Databases[w.c.Name].ListenConnString()
	if err != nil {
		return nil, err
	}
	source, err := notify.NewListener(notify.ListenerConfig{
		URL: url, Name: "bbmd/" + w.c.Name + "/" + w.cmd.Name(),
		OnChange: func(s notify.State) {
			if s.Connects == 0 && s.Err != nil {
				giveUp(fmt.Errorf("listen for events: %w", s.Err))
			}
		},
	})
	if err != nil {
		return nil, withCode(exitUsage, err)
	}
	return source, nil
}

func (w *watcher) look(ctx context.Context) ([]control.Progress, error) {
	if w.c.IsClosed() {
		fresh, err := w.a.connectTo(w.cmd, w.c.Config, w.c.Name) //nolint:contextcheck // the command's is as good
		if err != nil {
			return nil, fmt.Errorf("%w: %w", status.ErrUnreachable, err)
		}
		w.c.Conn = fresh.Conn
	}
	sel := control.Selection{Names: w.names}
	if len(w.names) == 0 {
		sel.Open = true
		for name := range w.followed {
			sel.Names = append(sel.Names, name)
		}
	}
	all, err := w.c.progress(ctx, sel)
	if err != nil && w.c.IsClosed() {
		return nil, fmt.Errorf("%w: %w", status.ErrUnreachable, err)
	}
	for i := range all {
		w.followed[all[i].Name] = true
	}
	return all, err
}
