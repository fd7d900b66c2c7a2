package pgserver

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"

	"github.com/fsnotify/fsnotify"
)

// process is one run of the server's first process, the postmaster.
type process struct {
	cmd    *exec.Cmd
	exited chan struct{} // closed when it has ended and was waited for
}

// Stop ends the server in the fast way: open transactions are rolled back and
// clients disconnected. When ctx ends first it ends at once, as by Kill, and
// that is no error. A stopped server stays stopped.
func (s *Server) Stop(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stop(ctx)
}

// Kill ends the server at once, as a crash would: nothing is written any
// more, and the next start recovers from the WAL. It returns when all of its
// processes are gone.
func (s *Server) Kill() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.end(syscall.SIGQUIT)
}

// Restart stops the server if it runs, and starts it on the same port and
// data. It returns when the server accepts connections, after a crash
// recovery if it was killed.
func (s *Server) Restart(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.stop(ctx); err != nil {
		return fmt.Errorf("restart private PostgreSQL: %w", err)
	}
	if err := s.launch(ctx, os.O_APPEND); err != nil {
		return fmt.Errorf("restart private PostgreSQL: %w", err)
	}
	return nil
}

// PID returns the id of the server's first process, or 0 while it is stopped.
func (s *Server) PID() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.process == nil || !s.process.alive() {
		return 0
	}
	return s.process.cmd.Process.Pid
}

// firstLaunch starts the server, on another port when somebody takes the
// chosen one in the moment between.
func (s *Server) firstLaunch(ctx context.Context) error {
	for try := 1; ; try++ {
		var err error
		if s.port = s.options.Port; s.port == 0 {
			if s.port, err = freePort(ctx); err != nil {
				return err
			}
		}
		err = s.launch(ctx, os.O_TRUNC)
		if err == nil || s.options.Port != 0 || try == 5 || !strings.Contains(s.LogTail(50), "could not bind") {
			return err
		}
	}
}

// launch starts the server and waits until it accepts connections.
func (s *Server) launch(ctx context.Context, logFlag int) error {
	if err := s.writeSettings(); err != nil {
		return err
	}
	watcher, err := fsnotify.NewWatcher()
	if err != nil {
		return fmt.Errorf("watch the server start: %w", err)
	}
	defer watcher.Close() //nolint:errcheck // it has done its work
	if err := watcher.Add(s.dataFile("")); err != nil {
		return fmt.Errorf("watch the server start: %w", err)
	}
	if err := s.spawn(ctx, logFlag); err != nil {
		return err
	}
	if err := s.awaitReady(ctx, watcher); err != nil {
		return errors.Join(err, s.end(syscall.SIGQUIT))
	}
	return nil
}

// spawn starts the process, which the guard knows from then on.
func (s *Server) spawn(ctx context.Context, logFlag int) error {
	log, err := os.OpenFile(s.LogPath(), os.O_CREATE|os.O_WRONLY|logFlag, 0o600)
	if err != nil {
		return fmt.Errorf("open log of the server: %w", err)
	}
	defer log.Close() //nolint:errcheck // the server has it open itself
	postgres, _ := s.options.Binaries.Path("postgres")
	cmd := s.runAs.command(context.WithoutCancel(ctx), postgres, "-D", s.dataFile(""), "-c", "config_file="+s.settingsPath())
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start postgres: %w", err)
	}
	s.process = &process{cmd: cmd, exited: make(chan struct{})}
	go s.process.wait()
	if err := s.run.guard.watch("QUIT", cmd.Process.Pid); err != nil {
		return errors.Join(err, s.end(syscall.SIGQUIT))
	}
	return nil
}

// wait takes the end of the process. How it ended is in the log.
func (p *process) wait() {
	_ = p.cmd.Wait()
	close(p.exited)
}

func (p *process) alive() bool {
	select {
	case <-p.exited:
		return false
	default:
		return true
	}
}

// awaitReady waits until the server's own status, which it keeps in
// postmaster.pid, says that it accepts connections.
func (s *Server) awaitReady(ctx context.Context, watcher *fsnotify.Watcher) error {
	for !s.ready() {
		select {
		case <-watcher.Events:
		case err := <-watcher.Errors:
			return fmt.Errorf("watch the server start: %w", err)
		case <-s.process.exited:
			return fmt.Errorf("postgres ended while it started; its log ends:\n%s", s.LogTail(10))
		case <-ctx.Done():
			return fmt.Errorf("wait for the server: %w", context.Cause(ctx))
		}
	}
	return nil
}

// ready reads the file whose first line is the process id and whose eighth is
// the status.
func (s *Server) ready() bool {
	content, err := os.ReadFile(s.dataFile("postmaster.pid"))
	if err != nil {
		return false
	}
	lines := strings.Split(string(content), "\n")
	return len(lines) >= 8 && lines[0] == strconv.Itoa(s.process.cmd.Process.Pid) && strings.TrimSpace(lines[7]) == "ready"
}

func (s *Server) stop(ctx context.Context) error {
	if s.process == nil {
		return nil
	}
	running := s.process.cmd.Process
	disarm := context.AfterFunc(ctx, func() { _ = running.Signal(syscall.SIGQUIT) })
	defer disarm()
	return s.end(syscall.SIGINT)
}

// end signals the process and waits for it.
func (s *Server) end(signal os.Signal) error {
	if s.process == nil {
		return nil
	}
	if err := s.process.cmd.Process.Signal(signal); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("signal the server: %w", err)
	}
	<-s.process.exited
	s.process = nil
	return s.run.guard.forget()
}

// freePort returns a port of the loopback interface that nobody listens on.
func freePort(ctx context.Context) (int, error) {
	const first, last, tries = 15000, 29999, 100 // below what Linux, BSD and macOS give to outgoing connections
	var listen net.ListenConfig
	for range tries {
		port := first + rand.IntN(last-first+1) //nolint:gosec // not a secret
		listener, err := listen.Listen(ctx, "tcp4", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err != nil {
			continue
		}
		if err := listener.Close(); err != nil {
			return 0, fmt.Errorf("look for a free port: %w", err)
		}
		return port, nil
	}
	return 0, fmt.Errorf("no free port between %d and %d on the loopback interface", first, last)
}
