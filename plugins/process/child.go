package process

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"time"

	"github.com/bbmd-dev/bbmd/plugins/process/protocol"
)

// child is one running program. One goroutine at a time talks to it.
type child struct {
	options Options
	log     *lineLog
	pid     int
	stdin   *os.File // our ends
	stdout  *os.File
	stderr  *os.File
	lines   *protocol.Reader
	tasks   int64 // ids given out

	exited chan struct{} // closed when it has ended and nobody is left in its group
	err    error         // of its end; once exited is closed
	ended  sync.Once
}

// spawn starts a program, which outlives ctx. Its goroutines are in all, and end
// when the program has.
func spawn(ctx context.Context, cmd *exec.Cmd, o Options, log *lineLog, all *sync.WaitGroup) (*child, error) {
	c := &child{options: o, log: log, exited: make(chan struct{})}
	theirs, err := c.pipes(cmd)
	defer closeAll(theirs)
	if err != nil {
		return nil, err
	}
	c.lines = protocol.NewReader(c.stdout, o.MaxLine)
	started := make(chan error, 1)
	all.Go(func() { c.live(cmd, started) })
	if err := <-started; err != nil {
		closeAll([]*os.File{c.stdin, c.stdout, c.stderr})
		return nil, fmt.Errorf("start %s: %w", cmd.Args[0], err)
	}
	all.Go(func() { log.copy(context.WithoutCancel(ctx), c.stderr) })
	return c, nil
}

// pipes connects the program's standard streams, and returns its ends.
func (c *child) pipes(cmd *exec.Cmd) (theirs []*os.File, err error) {
	var in, out, failed [2]*os.File
	var errs []error
	for _, pair := range []*[2]*os.File{&in, &out, &failed} {
		r, w, err := os.Pipe()
		*pair = [2]*os.File{r, w}
		errs = append(errs, err)
	}
	c.stdin, c.stdout, c.stderr = in[1], out[0], failed[0]
	cmd.Stdin, cmd.Stdout, cmd.Stderr = in[0], out[1], failed[1]
	theirs = []*os.File{in[0], out[1], failed[1]}
	if err := errors.Join(errs...); err != nil {
		closeAll([]*os.File{c.stdin, c.stdout, c.stderr})
		return theirs, fmt.Errorf("start %s: %w", cmd.Args[0], err)
	}
	return theirs, nil
}

func closeAll(files []*os.File) {
	for _, file := range files {
		_ = file.Close() // nobody counts on what was not read; a nil file is an error that says so
	}
}

// live starts the program and waits for its end. The kernel ends the program
// with the thread that has started it, so that has to be there until then.
func (c *child) live(cmd *exec.Cmd, started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := cmd.Start(); err != nil {
		started <- err
		return
	}
	c.pid = cmd.Process.Pid
	started <- nil
	c.err = cmd.Wait()
	killGroup(c.pid) // what it has started, and left behind
	close(c.exited)
	// Who left the group may hold these open for ever.
	_ = c.stderr.SetReadDeadline(time.Now().Add(c.options.CancelGrace))
}

// alive reports whether the program has not ended.
func (c *child) alive() bool {
	select {
	case <-c.exited:
		return false
	default:
		return true
	}
}

// kill ends the program and all of its group, and waits for that. It never
// waits long: nothing of it can ignore the signal.
func (c *child) kill() {
	c.ended.Do(func() {
		killGroup(c.pid)
		<-c.exited
		c.hangUp()
	})
}

// stop tells the program to end, more urgently as time goes by, and waits for
// it. It is called where nobody talks to the program any more.
func (c *child) stop() {
	c.ended.Do(func() {
		if line, err := protocol.EncodeHost(protocol.Shutdown{}); err == nil {
			_ = c.stdin.SetWriteDeadline(time.Now().Add(c.options.StopGrace))
			_, _ = c.stdin.Write(line) // the end of its input says the same
		}
		_ = c.stdin.Close()
		drained := make(chan struct{})
		go func() { // so that it does not wait for us to read its last words
			defer close(drained)
			_ = c.stdout.SetReadDeadline(time.Time{})
			_, _ = io.Copy(io.Discard, c.stdout) // ends when it hangs up, or we do
		}()
		for _, harder := range []func(int){terminate, killGroup} {
			if c.gone(c.options.StopGrace) {
				break
			}
			harder(c.pid)
		}
		<-c.exited
		c.hangUp()
		<-drained
	})
}

// gone waits for the program's end, at most so long.
func (c *child) gone(within time.Duration) bool {
	timer := time.NewTimer(within)
	defer timer.Stop()
	select {
	case <-c.exited:
		return true
	case <-timer.C:
		return false
	}
}

func (c *child) hangUp() { closeAll([]*os.File{c.stdin, c.stdout}) }

// send writes a message. The error of a program that does not read is
// os.ErrDeadlineExceeded, once ctx ends.
func (c *child) send(ctx context.Context, m protocol.Host) error {
	var line []byte
	var err error
	if ready, ok := m.(encoded); ok {
		line = ready.line
	} else if line, err = protocol.EncodeHost(m); err != nil {
		return err
	}
	if err := c.write(ctx, line); err != nil {
		return err
	}
	c.options.Trace(protocol.HostType(m), c.endGroup)
	return nil
}

// endGroup ends the program as something outside of bbmd might.
func (c *child) endGroup() {
	if c.alive() {
		killGroup(c.pid)
	}
}

func (c *child) write(ctx context.Context, line []byte) error {
	defer c.bounded(ctx, c.stdin.SetWriteDeadline)()
	_, err := c.stdin.Write(line)
	return err
}

// receive reads the next message that is none for the log. Where ctx ends first,
// its error is os.ErrDeadlineExceeded, and nothing is lost.
func (c *child) receive(ctx context.Context) (protocol.Child, error) {
	defer c.bounded(ctx, c.stdout.SetReadDeadline)()
	for {
		line, err := c.lines.Next()
		if err != nil {
			return nil, err
		}
		message, err := protocol.DecodeChild(line)
		if err != nil {
			return nil, &garbageError{err}
		}
		words, ok := message.(protocol.Log)
		if !ok {
			c.options.Trace(protocol.ChildType(message), c.endGroup)
			return message, nil
		}
		c.log.said(ctx, words)
		if ctx.Err() != nil { // who never stops talking
			return nil, os.ErrDeadlineExceeded
		}
	}
}

// bounded ends reads or writes with ctx, and returns what takes that back.
func (c *child) bounded(ctx context.Context, setDeadline func(time.Time) error) (undo func()) {
	_ = setDeadline(time.Time{})
	done := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(done)
		_ = setDeadline(time.Unix(1, 0))
	})
	return func() {
		if !stop() {
			<-done
		}
	}
}

// garbageError says that a program has written what is no message.
type garbageError struct{ err error }

func (e *garbageError) Error() string { return "what it wrote is no message: " + e.err.Error() }
func (e *garbageError) Unwrap() error { return e.err }
