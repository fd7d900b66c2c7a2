package chaos

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Program is how a daemon is started.
type Program struct {
	Args []string // the executable first
	Env  []string // NAME=value, beside what [Run] sets
}

// replica is a daemon: the same one through all of its lives, with one log.
type replica struct {
	tb      testing.TB
	name    string // of the database in its configuration, by which the server shows its sessions
	program Program
	env     []string
	dir     string
	logPath string
	proxy   *proxy // nil: it reaches the server directly
	http    http.Client

	life *life // nil: it does not run
}

// life is one process of a replica.
type life struct {
	cmd   *exec.Cmd
	log   int64         // where its log begins
	ended chan struct{} // closed when it has ended and was waited for
	err   error         // how, once it has ended
}

// The time-outs of daemons are short, so that what waits for them takes a moment.
const (
	takeoverInterval = 200 * time.Millisecond
	statementTimeout = 5 * time.Second
	shutdownGrace    = 10 * time.Second
)

// newReplica returns a daemon that does not run yet. It ends with the test.
func newReplica(tb testing.TB, name, url string, program Program, workers int) *replica {
	tb.Helper()
	dir := tb.TempDir()
	r := &replica{tb: tb, name: name, program: program, dir: dir, logPath: filepath.Join(dir, "log"), http: http.Client{Transport: &http.Transport{DisableKeepAlives: true}}}
	const section = "BBMD_BACKGROUND_MIGRATIONS__"
	r.env = append([]string{
		"PATH=" + os.Getenv("PATH"),
		"HOME=" + dir,
		"GORACE=atexit_sleep_ms=0", // with the race detector an end takes a second otherwise
		"BBMD_DATABASES__" + strings.ToUpper(name) + "__URL=" + url,
		"BBMD_HTTP__LISTEN=127.0.0.1:0",
		"BBMD_LOG__FORMAT=json",
		"BBMD_LOG__LEVEL=debug",
		section + `THROTTLE={"traffic": {"mode": "off"}}`, // who watches is no traffic to give way to
		section + "WORKERS=" + strconv.Itoa(workers),
		section + "TAKEOVER_INTERVAL=" + takeoverInterval.String(),
		section + "STATEMENT_TIMEOUT=" + statementTimeout.String(),
		section + "LOCK_TIMEOUT=500ms",
		"BBMD_SHUTDOWN_GRACE=" + shutdownGrace.String(),
	}, program.Env...)
	tb.Cleanup(r.kill)
	return r
}

// application is a pattern, as for LIKE, of the names of its sessions.
func (r *replica) application() string { return "bbmd/" + r.name + "%" }

// start starts the process.
func (r *replica) start() {
	r.tb.Helper()
	log, err := os.OpenFile(r.logPath, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		r.tb.Fatal(err)
	}
	defer log.Close() //nolint:errcheck // the process has it open itself
	lives, err := log.Seek(0, io.SeekEnd)
	if err != nil {
		r.tb.Fatal(err)
	}
	// It ends by the signals of the test, not with a context.
	cmd := exec.CommandContext(context.WithoutCancel(r.tb.Context()), r.program.Args[0], r.program.Args[1:]...) //nolint:gosec // the test's own program
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = r.dir, r.env, log, log
	endWithParent(cmd)
	if err := cmd.Start(); err != nil {
		r.tb.Fatal(err)
	}
	l := &life{cmd: cmd, log: lives, ended: make(chan struct{})}
	go func() {
		defer close(l.ended)
		l.err = cmd.Wait()
	}()
	r.life = l
}

// signal sends a signal to the process, which runs.
func (r *replica) signal(s os.Signal) {
	r.tb.Helper()
	if err := r.life.cmd.Process.Signal(s); err != nil {
		r.tb.Fatalf("%s has ended by itself: %v", r.name, err)
	}
}

// kill ends the process as kill -9 does, and waits for that.
func (r *replica) kill() {
	if r.life == nil {
		return
	}
	_ = r.life.cmd.Process.Kill() // it may have ended
	<-r.life.ended
	r.life = nil
}

// listens reports whether the process has come so far as to listen for events: before
// it has, a signal may find nobody who catches it.
func (r *replica) listens() (bool, error) {
	content, err := os.ReadFile(r.logPath)
	if err != nil {
		return false, err
	}
	said := content[r.life.log:]
	return bytes.Contains(said, []byte(`"listening for events"`)) || bytes.Contains(said, []byte(`"streaming events"`)), nil
}

// serving is the record with which a daemon says where its probes are.
var serving = regexp.MustCompile(`"serving probes and metrics","address":"([^"]+)"`)

// answers returns the status with which one of the process's probes answers, or 0 while nobody does.
func (r *replica) answers(path string) int {
	r.tb.Helper()
	content, err := os.ReadFile(r.logPath)
	if err != nil {
		r.tb.Fatal(err)
	}
	said := serving.FindSubmatch(content[r.life.log:])
	if said == nil {
		return 0
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.tb.Context()), patience)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+string(said[1])+path, http.NoBody)
	if err != nil {
		r.tb.Fatal(err)
	}
	answer, err := r.http.Do(request)
	if err != nil {
		return 0
	}
	_ = answer.Body.Close() // nobody reads it
	return answer.StatusCode
}

// stop ends the process, which listens, as SIGTERM does, and waits for that. It
// has to end by itself, in time, and well.
func (r *replica) stop() {
	r.tb.Helper()
	r.signal(syscall.SIGTERM)
	r.stops()
}

// stops waits for a process to end that SIGTERM has told to.
func (r *replica) stops() {
	r.tb.Helper()
	select {
	case <-r.life.ended:
		if r.life.err != nil {
			r.tb.Errorf("%s did not end well on SIGTERM: %v", r.name, r.life.err)
		}
		r.life = nil
	case <-time.After(shutdownGrace + patience):
		r.tb.Errorf("%s does not end on SIGTERM", r.name)
		r.dump()
		r.kill()
	}
}

// running fails the test when the process has ended without being told to.
func (r *replica) running() {
	r.tb.Helper()
	select {
	case <-r.life.ended:
		r.tb.Fatalf("%s has ended by itself: %v", r.name, r.life.err)
	default:
	}
}

// dump ends a daemon that is still there so that it leaves the stacks of its goroutines in its log.
func (r *replica) dump() {
	if r.life == nil {
		return
	}
	_, _ = r.life.cmd.Process.Signal(syscall.SIGCONT), r.life.cmd.Process.Signal(syscall.SIGQUIT)
	select {
	case <-r.life.ended:
		r.life = nil
	case <-time.After(5 * time.Second):
	}
}
