package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/bbmd-dev/bbmd/internal/executor"
	"github.com/bbmd-dev/bbmd/internal/pgserver"
)

// rest is a daemon without work, watched through the server's log.
type rest struct {
	*statementLog

	what      string
	perMinute float64 // statements, once they are counted
	stop      func()
	died      <-chan error // why the program ended; nil: there is none
}

// startRest starts the daemon and returns when it has come to rest.
func startRest(ctx context.Context, server *pgserver.Server, o Options) (*rest, error) {
	log, err := newStatementLog(ctx, server, "rest")
	if err != nil {
		return nil, err
	}
	r := &rest{statementLog: log, stop: func() {}}
	if err := r.start(ctx, o); err != nil {
		r.close(ctx)
		return nil, err
	}
	if err := r.settle(ctx); err != nil {
		r.close(ctx)
		return nil, err
	}
	return r, nil
}

func (r *rest) start(ctx context.Context, o Options) error {
	if o.Program != "" {
		r.what = "bbmd run"
		return r.startProgram(ctx, o.Program)
	}
	r.what = "executor and listener"
	rig, err := newRig(ctx, r.database, executor.DefaultSettings(), o.Logger)
	if err == nil {
		r.stop = rig.close
	}
	return err
}

// startProgram runs `bbmd run` with nothing but the database's address.
func (r *rest) startProgram(ctx context.Context, program string) error {
	program, err := filepath.Abs(program) // it runs in a directory of its own
	if err != nil {
		return fmt.Errorf("run the program to watch: %w", err)
	}
	dir, err := os.MkdirTemp("", "bbmd-bench-")
	if err != nil {
		return fmt.Errorf("run %s: %w", program, err)
	}
	var output bytes.Buffer
	cmd := exec.CommandContext(ctx, program, "run")
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, &output, &output
	cmd.Env = append(os.Environ(), "DATABASE_URL="+r.url, "BBMD_HTTP__LISTEN=127.0.0.1:0")
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = closing
	if err := cmd.Start(); err != nil {
		return errors.Join(fmt.Errorf("run %s: %w", program, err), os.RemoveAll(dir))
	}
	died, ended := make(chan error, 1), make(chan struct{})
	go func() {
		defer close(ended)
		err := cmd.Wait()
		died <- fmt.Errorf("%s ended: %w: %s", program, err, bytes.TrimSpace(output.Bytes()))
	}()
	r.died = died
	r.stop = sync.OnceFunc(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM) // that it rested is shown by the server's log
		<-ended
		_ = os.RemoveAll(dir)
	})
	return nil
}

// settle waits until a session listens and the log has stood still for some seconds.
func (r *rest) settle(ctx context.Context) error {
	const silence, patience = 3 * time.Second, time.Minute
	ctx, cancel := context.WithTimeoutCause(ctx, patience, errors.New("the daemon did not come to rest within a minute"))
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for looked := time.Now(); ; {
		select {
		case <-tick.C:
		case err := <-r.died:
			return err
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		before := looked
		looked = time.Now()
		statements, size, err := r.statements()
		switch {
		case err != nil:
			return err
		case statements > 0 || r.since.IsZero():
			r.since, r.from = before, size // the silence counts: a ping comes a minute after the last statement
		case time.Since(r.since) > silence && r.listens():
			return nil
		}
	}
}

// listens reports whether the log shows that somebody has begun to listen.
func (r *rest) listens() bool {
	content, err := os.ReadFile(r.server.LogPath())
	return err == nil && bytes.Contains(content, []byte("LISTEN"))
}

// line waits until a minute has been seen at least, and counts.
func (r *rest) line(ctx context.Context, o Options) (line, error) {
	least := 65 * time.Second
	if o.Tiny {
		least = 0
	}
	if err := pause(ctx, max(0, least-time.Since(r.since))); err != nil {
		return line{}, err
	}
	count, _, err := r.statements()
	if err != nil {
		return line{}, err
	}
	minutes := time.Since(r.since).Minutes()
	l := line{
		section: SectionIdle, what: "statements of " + r.what + " with nothing to do", value: fmt.Sprintf("%d in %.1f minutes", count, minutes),
		beside: "-", ratio: "-", target: "≤ 1 a minute", verdict: Reached,
	}
	if float64(count) > max(1, minutes) {
		l.verdict = Missed
	}
	r.perMinute = float64(count) / minutes
	return l, nil
}

func (r *rest) close(ctx context.Context) {
	r.stop()
	r.database.close(ctx)
}
