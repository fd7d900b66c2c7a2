package initialize

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"runtime"
	"strings"
	"time"

	"github.com/bbmd-dev/bbmd/internal/history"
)

// commandRunner brings a database up by a program of the user's, about whose steps nothing is known.
type commandRunner struct{ spec Spec }

var _ runner = commandRunner{}

func (c commandRunner) run(ctx context.Context, to target, _ []history.Step, _ watcher) error {
	around, err := surroundings(ctx, c.spec, to, c.spec.Limits.orDefaults().LockTimeout)
	if err != nil {
		return err
	}
	known, err := invalidIndexes(ctx, to)
	if err != nil {
		return err
	}
	defer reportWaits(ctx, c.spec, to, waitsAfter, waitsEvery)()
	var out output
	err = c.spec.Limits.orDefaults().retry(ctx, func() error {
		out = output{log: to.log, mask: around.mask}
		p := program{argv: c.spec.Command, dir: c.spec.Dir, env: around.environ, line: out.add}
		return out.blame(p.run(ctx))
	}, func(error) bool { return contended(out.refusal()) && !leftSome(ctx, to, known) }, func(err error, pause time.Duration) {
		fprintf(to.log, "%v: again in %s\n", err, pause.Round(time.Millisecond))
	})
	if err == nil {
		return nil
	}
	if err := endSessions(ctx, to); err != nil {
		fprintf(to.log, "end the sessions of %s: %v\n", c.spec.Command[0], err)
	}
	if ctx.Err() != nil {
		err = interrupted(ctx, err)
	}
	return failure(c.spec, leftInvalid(ctx, to, known, err))
}

// failure is what a program's failure is called where no step is known that it failed at.
func failure(s Spec, err error) error {
	if transient(err) { // it is nobody's fault
		return fmt.Errorf("database %s: %w", s.Database, err)
	}
	return &FailedError{Database: s.Database, Err: err}
}

// program is a program that works on a database, with all that it starts.
type program struct {
	argv  []string
	title string   // what it is called in messages; empty: its first words
	dir   string   // its working directory; empty: that of this process
	env   []string // all of its environment
	// line takes what it prints, a line at a time and without its end, on a goroutine
	// that has ended when run returns.
	line   func(string)
	stdout io.Writer // takes its standard output instead; may be nil
}

// programGrace is how long a program that is told to end may take, and how long one that
// ended may leave its output open to others.
const programGrace = 10 * time.Second

// run starts the program and returns when it has ended, with everything in its process
// group unless it succeeded. When ctx ends it is told to end, and killed after a while.
func (p program) run(ctx context.Context) error {
	lines := &lineWriter{line: p.line}
	cmd := exec.CommandContext(ctx, p.argv[0], p.argv[1:]...) //nolint:gosec // it is the operator's own
	cmd.Dir, cmd.Env = p.dir, p.env
	cmd.Stdout, cmd.Stderr = lines, lines
	if p.stdout != nil {
		cmd.Stdout = p.stdout
	}
	cmd.SysProcAttr = ownGroup()
	cmd.Cancel = func() error { return endGroup(cmd.Process.Pid) }
	cmd.WaitDelay = programGrace
	// The kernel ends the program when the thread that started it ends: it has to be there until then.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", p.name(), err)
	}
	err := cmd.Wait()
	lines.flush()
	if err == nil {
		return nil
	}
	killGroup(cmd.Process.Pid)
	if errors.Is(err, exec.ErrWaitDelay) {
		err = errors.New("it ended, and left others behind who keep its output open")
	}
	return fmt.Errorf("%s: %w", p.name(), err)
}

// name is what the program is called in messages. Arguments may hold secrets; words do not.
func (p program) name() string {
	if p.title != "" {
		return p.title
	}
	const words = 4
	name := strings.Join(p.argv[:min(len(p.argv), words)], " ")
	return mask(nil).apply(name)
}

// lineWriter cuts what is written to it into lines.
type lineWriter struct {
	line    func(string)
	partial []byte
}

// longestLine is where a line is cut that does not end.
const longestLine = 16 << 10

// Write never returns an error: a program is not to fail because of its log.
func (w *lineWriter) Write(p []byte) (int, error) {
	w.partial = append(w.partial, p...)
	for {
		i := bytes.IndexByte(w.partial, '\n')
		if i < 0 && len(w.partial) >= longestLine {
			i = longestLine - 1
		}
		if i < 0 {
			return len(p), nil
		}
		w.line(printable(w.partial[:i+1]))
		w.partial = w.partial[i+1:]
	}
}

// flush passes on a last line that has no end.
func (w *lineWriter) flush() {
	if len(w.partial) > 0 {
		w.line(printable(w.partial))
		w.partial = nil
	}
}

func printable(line []byte) string {
	text := strings.ToValidUTF8(strings.TrimRight(string(line), "\r\n"), "?")
	return strings.ReplaceAll(text, "\x00", "")
}
