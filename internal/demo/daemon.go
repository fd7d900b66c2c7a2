package demo

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"
)

// daemonProcess is a daemon that runs as a process of its own.
type daemonProcess struct {
	cmd   *exec.Cmd
	args  []string
	ended chan struct{} // closed when it has ended and its log was read

	mu      sync.Mutex
	log     []string // the last lines
	records []record
	changed chan struct{} // closed at the next record
}

// record is a line of the daemon's log, as far as the story needs it.
type record struct {
	Message string `json:"msg"`
	Address string `json:"address"`
	Jobs    int64  `json:"jobs"`
}

const tailLines = 15

// startDaemon starts program on the database at url, with dir as its directory.
func startDaemon(program string, args []string, dir, url string) (*daemonProcess, error) {
	d := &daemonProcess{
		cmd:     exec.Command(program, args...), //nolint:gosec,noctx // it is this program; the story ends it, in order or by a kill
		args:    args,
		ended:   make(chan struct{}),
		changed: make(chan struct{}),
	}
	d.cmd.Dir = dir
	d.cmd.Env = append(environment(), "DATABASE_URL="+url)
	d.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // a Ctrl-C at the terminal is for the story to handle
	dieWithParent(d.cmd.SysProcAttr)
	log, err := d.cmd.StderrPipe()
	if err != nil {
		return nil, fmt.Errorf("start the daemon: %w", err)
	}
	started := make(chan error, 1)
	go func() {
		defer close(d.ended)
		// The child dies with the thread that has started it.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := d.cmd.Start()
		started <- err
		if err == nil {
			d.read(log)
			_ = d.cmd.Wait() // how it ended is not asked
		}
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start the daemon: %w", err)
	}
	return d, nil
}

// read takes the log in until the process has ended.
func (d *daemonProcess) read(log io.Reader) {
	lines := bufio.NewScanner(log)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		d.take(lines.Text())
	}
	_, _ = io.Copy(io.Discard, log) // a line too long must not stop the daemon
}

func (d *daemonProcess) take(line string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.log = append(d.log, line); len(d.log) > tailLines {
		d.log = d.log[1:]
	}
	var r record
	if json.Unmarshal([]byte(line), &r) == nil {
		d.records = append(d.records, r)
		close(d.changed)
		d.changed = make(chan struct{})
	}
}

// await waits until the daemon has logged message.
func (d *daemonProcess) await(ctx context.Context, message string) error {
	for {
		d.mu.Lock()
		records, changed := d.records, d.changed
		d.mu.Unlock()
		for _, r := range records {
			if r.Message == message {
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-d.ended:
			return errors.New("the daemon has ended")
		case <-changed:
		}
	}
}

// sum adds up the jobs of the records with that message.
func (d *daemonProcess) sum(message string) (jobs int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, r := range d.records {
		if r.Message == message {
			jobs += r.Jobs
		}
	}
	return jobs
}

// address returns where its probes are, or "".
func (d *daemonProcess) address() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, r := range d.records {
		if r.Address != "" {
			return r.Address
		}
	}
	return ""
}

// tail returns the end of its log.
func (d *daemonProcess) tail() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return strings.Join(d.log, "\n")
}

func (d *daemonProcess) pid() int { return d.cmd.Process.Pid }

// config returns the path of its configuration.
func (d *daemonProcess) config() string { return d.args[len(d.args)-1] }

// kill is kill -9.
func (d *daemonProcess) kill(ctx context.Context) error { return d.signal(ctx, syscall.SIGKILL) }

// stop ends it in order, or by a kill when ctx ends. It may have ended already.
func (d *daemonProcess) stop(ctx context.Context) error {
	if err := d.signal(ctx, syscall.SIGTERM); err == nil {
		return nil
	}
	return d.signal(context.WithoutCancel(ctx), syscall.SIGKILL)
}

// signal sends a signal and waits for the end.
func (d *daemonProcess) signal(ctx context.Context, signal syscall.Signal) error {
	if err := d.cmd.Process.Signal(signal); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("end the daemon: %w", err)
	}
	select {
	case <-d.ended:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("end the daemon: %w", context.Cause(ctx))
	}
}
