package main_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/internal/pgserver"
)

// developer works on a project with a bbmd that was built as users have it: it starts itself
// once more, in the background.
type developer struct {
	t       *testing.T
	program string
	dir     string
	env     []string
}

func newDeveloper(t *testing.T, program string, env ...string) *developer {
	t.Helper()
	d := &developer{t: t, program: program, dir: openDir(t)}
	d.env = append([]string{
		"PATH=" + filepath.Dir(program) + ":" + os.Getenv("PATH"), "HOME=" + d.dir, "BBMD_HTTP__LISTEN=127.0.0.1:0", "BBMD_DASHBOARD__LISTEN=",
	}, env...)
	for _, name := range []string{pgserver.EnvBin, "PGBIN"} {
		if value := os.Getenv(name); value != "" {
			d.env = append(d.env, name+"="+value)
		}
	}
	t.Cleanup(func() {
		require.Zero(t, d.run("dev", "clean", "--yes").code)
	})
	return d
}

// write writes a file of the project.
func (d *developer) write(path, content string) {
	d.t.Helper()
	path = filepath.Join(d.dir, path)
	require.NoError(d.t, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(d.t, os.WriteFile(path, []byte(content), 0o644))
}

// migration writes a migration of a service.
func (d *developer) migration(service string, version int, sql string) {
	d.t.Helper()
	d.write(fmt.Sprintf("services/%s/migrations/%05d_step.sql", service, version), "-- +goose Up\n"+sql+"\n")
}

// spawn starts a command, which ends with the test at the latest.
func (d *developer) spawn(env []string, args ...string) *process {
	d.t.Helper()
	p := &process{t: d.t, out: &transcript{}, err: &transcript{}, ended: make(chan struct{})}
	p.Cmd = exec.CommandContext(context.WithoutCancel(d.t.Context()), d.program, args...)
	p.Dir, p.Env = d.dir, append(append([]string{}, d.env...), env...)
	p.Stdout, p.Stderr = io.MultiWriter(p.out, d.t.Output()), io.MultiWriter(p.err, d.t.Output())
	require.NoError(d.t, p.Start())
	go func() {
		defer close(p.ended)
		_ = p.Wait() // its result is in ProcessState
	}()
	d.t.Cleanup(func() {
		_ = p.Process.Kill() // it has ended, if that fails
		<-p.ended
	})
	return p
}

// run runs a command to its end.
func (d *developer) run(args ...string) result {
	d.t.Helper()
	p := d.spawn(nil, args...)
	return result{code: p.wait(), out: p.out.String(), err: p.err.String()}
}

// do runs a command that has to succeed.
func (d *developer) do(args ...string) string {
	d.t.Helper()
	r := d.run(args...)
	require.Zero(d.t, r.code, r.err)
	return r.out
}

// devState is what the tests want to know of `bbmd dev status`.
type devState struct {
	Up     bool
	Ready  bool
	Keeper struct {
		PID    int
		Phase  string
		Server *struct{ PID, Port int }
	}
	Changed   bool
	Databases []struct {
		Name    string
		Private bool
		Problem string
		Finding *struct {
			State   string
			Current []string
			Pending []any
		}
	}
}

func (d *developer) status() (s devState) {
	d.t.Helper()
	r := d.run("dev", "status", "--output", "json")
	require.NoError(d.t, json.Unmarshal([]byte(r.out), &s), r.err)
	if s.Up {
		require.Zero(d.t, r.code)
	} else {
		require.Equal(d.t, 3, r.code)
	}
	return s
}

// url returns the connection string that a service would use.
func (d *developer) url(database string) string {
	d.t.Helper()
	for line := range strings.Lines(d.do("dev", "env")) {
		if value, ok := strings.CutPrefix(line, "export "+strings.ToUpper(database)+"_DATABASE_URL='"); ok {
			return strings.TrimSuffix(strings.TrimSpace(value), "'")
		}
	}
	require.FailNow(d.t, "no connection string", database)
	return ""
}

// ask runs SQL on one of the databases, and returns the single value that it has.
func (d *developer) ask(database, sql string) (answer string) {
	d.t.Helper()
	ctx, cancel := context.WithTimeout(d.t.Context(), patience)
	defer cancel()
	conn, err := pgx.Connect(ctx, d.url(database))
	require.NoError(d.t, err)
	defer func() { _ = conn.Close(ctx) }()
	require.NoError(d.t, conn.QueryRow(ctx, sql).Scan(&answer))
	return answer
}

// kill is kill -9, and waits until the process is gone.
func (d *developer) kill(pid int) {
	d.t.Helper()
	require.Greater(d.t, pid, 1)
	require.NoError(d.t, syscall.Kill(pid, syscall.SIGKILL))
	d.gone(pid)
}

// gone waits until a process is gone; one that nobody has buried yet is, once its last thread, and with
// it its locks, are.
func (d *developer) gone(pid int) {
	d.t.Helper()
	require.Eventually(d.t, func() bool {
		stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
		if err == nil {
			_, after, _ := strings.Cut(string(stat), ") ")
			threads, err := os.ReadDir("/proc/" + strconv.Itoa(pid) + "/task")
			return strings.HasPrefix(after, "Z") && (err != nil || len(threads) <= 1)
		}
		return syscall.Kill(pid, 0) != nil
	}, patience, 10*time.Millisecond, "process %d lives", pid)
}
