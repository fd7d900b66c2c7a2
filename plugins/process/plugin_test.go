package process_test

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/plugins"
	"github.com/bbmd-dev/bbmd/plugins/process"
	"github.com/bbmd-dev/bbmd/registry"
	"github.com/bbmd-dev/bbmd/testing/pgtest"
)

// TestMisbehaviour lets programs do what programs do. Each time the batch
// fails and says why, nothing of it is left, and the next program can be good.
func TestMisbehaviour(t *testing.T) {
	t.Parallel()
	for mode, want := range map[string]struct {
		says    string
		crashes int64
	}{
		"garbage":    {says: `it begins "Traceback (most recent call last):"`, crashes: 1},
		"unknown":    {says: `type "finish" is none of`, crashes: 1},
		"numbers":    {says: "values are texts or null", crashes: 1},
		"wrong":      {says: "wrong id: 2, and the task is 1", crashes: 1},
		"misplaced":  {says: "does not belong there", crashes: 1},
		"exits":      {says: "ended in the middle of a task: exit status 3", crashes: 1},
		"closes":     {says: "ended in the middle of a task", crashes: 1},
		"writes":     {says: "is not a JSON object", crashes: 1},
		"flood line": {says: "it wrote too much", crashes: 1},
		"flood both": {says: "it wrote too much", crashes: 1},
		"silent":     {says: "did not say hello within", crashes: 1},
		"quits":      {says: "exit status 3", crashes: 1},
		"liar":       {says: `it says it is somebody "1" and the manifest says child "1"`, crashes: 1},
		"stale":      {says: "it speaks protocol 2", crashes: 1},
		"commits":    {says: "COMMIT is not run for a plugin"},
		"several":    {says: "more than one statement"},
		"denies":     {says: "division by zero"},
		"gives up":   {says: "no such country"},
		"tries":      {says: "busy"},
	} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			db := pgtest.NewEmpty(t)
			table(t, db, "t", 3)
			h := newHouse(t, func(o *process.Options) {
				o.MaxLine = 1 << 20
				if mode == "silent" {
					o.StartTimeout = 100 * time.Millisecond
				}
			})
			err := run(t.Context(), t, db.Conn(t), workOf(t, h.child(mode), "bump"), whole())
			require.ErrorContains(t, err, want.says)
			require.Equal(t, want.crashes, h.crashes.Load())
			require.Zero(t, pgtest.One[int64](t, db, "SELECT sum(n) FROM t"))
		})
	}
}

// TestHanging bounds programs that never answer, by their time and by the caller's.
func TestHanging(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"hangs", "flood logs", "deaf"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			db := pgtest.NewEmpty(t)
			h := newHouse(t, func(o *process.Options) { o.CancelGrace = 10 * time.Millisecond })
			h.write("child", own(t, "child", mode, nil, manifest{"name": "bump", "timeout": "200ms"}))
			p := h.open()["child"]
			b := whole()
			b.Migration = strings.Repeat("x", 1<<20) // more than a pipe holds
			err := run(t.Context(), t, db.Conn(t), workOf(t, p, "bump"), b)
			require.ErrorContains(t, err, "longer than 200ms")
			require.EqualValues(t, 1, h.crashes.Load())

			ctx, cancel := context.WithCancelCause(t.Context())
			time.AfterFunc(20*time.Millisecond, func() { cancel(errOver) })
			err = run(ctx, t, db.Conn(t), workOf(t, p, "bump"), b)
			require.ErrorIs(t, err, errOver)
		})
	}
}

// TestForksEndWithTheProgram looks for what a program that is killed has started.
func TestForksEndWithTheProgram(t *testing.T) {
	t.Parallel()
	db := pgtest.NewEmpty(t)
	h := newHouse(t, func(o *process.Options) { o.CancelGrace = 10 * time.Millisecond })
	note := filepath.Join(t.TempDir(), "pid")
	p := h.child("forks", note)
	ctx, cancel := context.WithCancelCause(t.Context())
	pid := make(chan int, 1)
	go func() {
		pid <- waitForNumber(t, note)
		cancel(errOver)
	}()
	err := run(ctx, t, db.Conn(t), workOf(t, p, "bump"), whole())
	require.ErrorIs(t, err, errOver)
	waitForEnd(t, <-pid)
}

// waitForNumber waits until a file holds a number.
func waitForNumber(t *testing.T, path string) int {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for range int(patience / (5 * time.Millisecond)) {
		raw, _ := os.ReadFile(path)
		if number, err := strconv.Atoi(string(raw)); err == nil {
			return number
		}
		<-tick.C
	}
	t.Errorf("nothing is written to %s", path)
	return 0
}

// waitForEnd waits until a process is gone, or only waits for its parent to notice.
func waitForEnd(t *testing.T, pid int) {
	t.Helper()
	require.NotZero(t, pid)
	require.Eventually(t, func() bool {
		if syscall.Kill(pid, 0) != nil {
			return true
		}
		status, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
		return err != nil || strings.Contains(string(status), ") Z ")
	}, patience, 5*time.Millisecond, "process %d lives on", pid)
}

func TestStopsWhatIgnoresSignals(t *testing.T) {
	t.Parallel()
	db := pgtest.NewEmpty(t)
	h := newHouse(t, func(o *process.Options) { o.StopGrace = 50 * time.Millisecond })
	err := run(t.Context(), t, db.Conn(t), workOf(t, h.child("ignores"), "bump"), whole())
	require.NoError(t, err)
	h.end()
}

func TestErrorsKeepTheirMeaning(t *testing.T) {
	t.Parallel()
	for mode, code := range map[string]string{"denies": "22012", "tries": "53000", "quits": "53000", "exits": "", "gives up": ""} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			db := pgtest.NewEmpty(t)
			table(t, db, "t", 3)
			err := run(t.Context(), t, db.Conn(t), workOf(t, newHouse(t, nil).child(mode), "bump"), whole())
			var pgErr *pgconn.PgError
			if code == "" {
				require.NotErrorAs(t, err, &pgErr)
				return
			}
			require.ErrorAs(t, err, &pgErr)
			require.Equal(t, code, pgErr.Code)
			require.Contains(t, err.Error(), pgErr.Message)
		})
	}
}

func TestCrashedAndGoodAgain(t *testing.T) {
	t.Parallel()
	db := pgtest.NewEmpty(t)
	h := newHouse(t, nil)
	p := h.child("quits")
	for range 5 {
		state, _ := p.State()
		require.Equal(t, plugins.StateOK, state)
		err := run(t.Context(), t, db.Conn(t), workOf(t, p, "bump"), whole())
		var crash *process.CrashError
		require.ErrorAs(t, err, &crash)
	}
	state, reason := p.State()
	require.Equal(t, plugins.StateCrashed, state)
	require.Contains(t, reason, "ended badly 5 times in a row, last: it ended in the middle of a task: exit status 3")
	require.EqualValues(t, 1, h.givenUp.Load(), "that is told once")
	require.NoError(t, p.Close())
	err := run(t.Context(), t, db.Conn(t), workOf(t, p, "bump"), whole())
	require.ErrorIs(t, err, plugins.ErrReplaced)
}

func TestProgramGetsNothingButWhatIsListed(t *testing.T) {
	t.Setenv("BBMD_SECRET", "postgres://somebody")
	t.Setenv("DATABASE_URL", "postgres://somebody")
	t.Setenv("LISTED", "yes")
	db := pgtest.NewEmpty(t)
	h := newHouse(t, nil)
	note := filepath.Join(t.TempDir(), "environment")
	m := own(t, "child", "leaks", []string{note}, manifest{"name": "bump"})
	m["env"] = []string{"LISTED"}
	h.write("child", m)
	err := run(t.Context(), t, db.Conn(t), workOf(t, h.open()["child"], "bump"), whole())
	require.NoError(t, err)
	raw, err := os.ReadFile(note)
	require.NoError(t, err)
	for line := range strings.Lines(string(raw)) {
		name, _, _ := strings.Cut(line, "=")
		require.Contains(t, []string{"PATH", "HOME", "LANG", "TZ", "PYTHONDONTWRITEBYTECODE", "LISTED"}, name)
	}
	require.Contains(t, string(raw), "LISTED=yes")
}

func TestFilesThatChangedAreNotRun(t *testing.T) {
	t.Parallel()
	db := pgtest.NewEmpty(t)
	h := newHouse(t, nil)
	p := h.child("good")
	require.NoError(t, os.WriteFile(filepath.Join(h.dir, "child", "more"), nil, 0o644))
	err := run(t.Context(), t, db.Conn(t), workOf(t, p, "bump"), whole())
	require.ErrorContains(t, err, "files have changed since it was loaded")
	require.Zero(t, h.starts.Load())
}

func TestArguments(t *testing.T) {
	t.Parallel()
	h := newHouse(t, nil)
	h.write("child", own(t, "child", "good", nil, manifest{"name": "bump", "arguments": []manifest{
		{"name": "country", "type": "string", "required": true, "summary": "a prefix"},
		{"name": "limit", "type": "integer", "default": 7},
		{"name": "only", "type": "strings"},
	}}))
	w := workOf(t, h.open()["child"], "bump")
	require.NoError(t, w.ValidateArguments([]byte(`{"country": "+49", "limit": 3, "only": ["a"]}`)))
	require.ErrorContains(t, w.ValidateArguments([]byte(`{"contry": "+49"}`)), `did you mean "country"?`)
	require.ErrorContains(t, w.ValidateArguments([]byte(`{"limit": "3"}`)), `argument "limit" is a string`)
	require.ErrorContains(t, w.ValidateArguments([]byte(`{"only": "a"}`)), `argument "only"`)
	require.NoError(t, w.Check(t.Context(), nil, registry.Migration{Arguments: json.RawMessage(`{"country": "+49"}`)}))
	require.ErrorContains(t, w.Check(t.Context(), nil, registry.Migration{Arguments: json.RawMessage(`{"country": null}`)}), `"country" is missing: a prefix`)
}
