package status_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/internal/control"
	"github.com/bbmd-dev/bbmd/internal/status"
	"github.com/bbmd-dev/bbmd/internal/terminal"
	"github.com/bbmd-dev/bbmd/testing/pgtest"
)

var update = flag.Bool("update", false, "write the golden files anew")

func TestMain(m *testing.M) { pgtest.Main(m) }

// golden compares text with a file in testdata.
func golden(t *testing.T, name, text string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err, "go test -update writes it")
	require.Empty(t, cmp.Diff(string(want), text))
}

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// everything is a migration in each situation that there is.
func everything() []control.Progress {
	return []control.Progress{
		{
			ID: 1, Name: "copy_column_users", Work: "copy_column", Table: "public.users", Status: "running", Percent: 43.2,
			Keys: 432_000, Rows: 431_990, Batches: 432, Total: new(int64(1_000_000)), KeysPerSecond: new(151_832.0), SecondsLeft: new(3.74),
			SecondsElapsed: new(2.8), RunningJobs: 4, Pace: control.PaceMoving, CurrentBatchSize: new(int32(1500)), P90Milliseconds: new(48.0),
			Throttled: new("slow (50 %): 2 of 4 cores are busy"), CreatedAt: noon, StartedAt: new(noon.Add(time.Second)), UpdatedAt: noon.Add(4 * time.Second),
		},
		{
			ID: 2, Name: "normalize_email", Work: "execute_sql", Table: "public.users", Status: "running", Percent: 12,
			Keys: 12_000, Total: new(int64(100_000)), Pace: control.PaceHeld, PendingJobs: 2, StartedAt: new(noon), CreatedAt: noon,
			Reason: new("waits to try a failed batch again: division by zero"),
			Troubles: []control.JobState{{
				ID: 8, After: new("11000"), Max: "12000", Status: "pending", Attempts: 2, SecondsUntilNextAttempt: new(3.2),
				Error: new("division by zero"), SQLState: new("22012"), StartedAt: new(noon),
			}, {
				ID: 9, After: new("10500"), Max: "11000", Status: "pending", Attempts: 4, SecondsUntilNextAttempt: new(-1.0),
				Error: new("division by zero"), SQLState: new("22012"),
			}},
		},
		{
			ID: 3, Name: "drop_old_events", Work: "delete_rows", Table: "public.events", Status: "active", CreatedAt: noon, Pace: control.PaceWaiting, SecondsSince: 90,
			Reason: new("waits for copy_column_users (running) to finish"),
		},
		{
			ID: 4, Name: "rotate_keys", Work: "execute_sql", Table: "public.secrets", Status: "paused", Percent: 50, CreatedAt: noon, Pace: control.PacePaused, SecondsSince: 8000,
			Keys: 5, Total: new(int64(10)), StartedAt: new(noon), Reason: new("paused by alice: Black Friday"),
		},
		{
			ID: 5, Name: "mend_totals", Work: "execute_sql", Table: "public.orders", Status: "failed", Percent: 99.9, CreatedAt: noon, Pace: control.PaceOver,
			Keys: 2000, Total: new(int64(2000)), StartedAt: new(noon), FinishedAt: new(noon.Add(time.Minute)), SecondsElapsed: new(60.0),
			Error: new("job 17 has failed 5 times: \x1b[2Jnumeric field overflow"), SQLState: new("22003"), FailedJobs: 5,
			Troubles: []control.JobState{
				{ID: 17, Max: "1000", Status: "failed", Attempts: 5, Error: new("numeric field overflow"), SQLState: new("22003")},
				{ID: 18, After: new("1000"), Max: "2000", Status: "failed", Attempts: 1, Crashes: 1, Error: new("the worker's session ended")},
			},
		},
		{
			ID: 6, Name: "backfill_slug", Work: "backfill_column", Table: "public.posts", Status: "finished", Percent: 100, CreatedAt: noon,
			Keys: 1_234_567, Total: new(int64(1_300_000)), StartedAt: new(noon), FinishedAt: new(noon.Add(8000 * time.Second)), SecondsElapsed: new(8000.0),
			Quarantined: 2, Pace: control.PaceOver,
		},
		{
			ID: 7, Name: "mistake", Work: "delete_rows", Table: "public.users", Status: "cancelled", CreatedAt: noon,
			Reason: new("cancelled by bob"), FinishedAt: new(noon), Pace: control.PaceOver,
		},
		{
			ID: 8, Name: "fill_tags", Work: "backfill_column", Table: "public.tags", Status: "running", Pace: control.PaceMeasuring,
			Total: new(int64(400)), CreatedAt: noon, StartedAt: new(noon),
		},
		{
			ID: 9, Name: "link_files", Work: "execute_sql", Table: "public.files", Status: "running", Pace: control.PaceHeld, Percent: 12.5,
			Keys: 50, Total: new(int64(400)), CreatedAt: noon, StartedAt: new(noon), Reason: new("throttled since 12:03:00Z: replica lag 48 MB"),
		},
		{
			ID: 10, Name: "hash_blobs", Work: "execute_sql", Table: "public.blobs", Status: "running", Pace: control.PaceMoving,
			Keys: 50, KeysPerSecond: new(17.0), CreatedAt: noon, StartedAt: new(noon),
		},
		{
			ID: 11, Name: "copy_size", Work: "copy_column", Table: "public.disks", Status: "running", Pace: control.PaceVerifying, Percent: 99.9,
			Keys: 400, Total: new(int64(400)), CreatedAt: noon, StartedAt: new(noon),
		},
	}
}

func TestListGolden(t *testing.T) {
	t.Parallel()
	for name, screen := range map[string]terminal.Screen{
		"list.txt":       {},
		"list_80.txt":    {Width: 80},
		"list_color.txt": {Width: 120, Color: true},
	} {
		var out bytes.Buffer
		screen.Out = &out
		require.NoError(t, status.List(screen, everything()))
		golden(t, name, out.String())
	}
}

func detail() *control.Detail {
	d := &control.Detail{
		Progress:  everything()[4],
		Arguments: []byte(`{"sql": "UPDATE orders SET total = subtotal * tax WHERE :range"}`), KeyColumns: []string{"id"}, KeyTypes: []string{"bigint"},
		Min: new("1"), Max: new("2000"), BatchSize: 1000, Parallelism: 2, DependsOn: []string{"backfill_slug"}, MaxAttempts: new(int32(5)), WorkVersion: new(int32(1)),
		Transitions: []control.Transition{
			{At: noon, To: "active", Who: "alice", Application: "psql"},
			{At: noon.Add(time.Second), From: new("active"), To: "running", Who: "bbmd", Application: "bbmd/default/mend_totals"},
			{At: noon.Add(time.Minute), From: new("running"), To: "failed", Reason: new("job 17 has failed 5 times"), Who: "bbmd"},
		},
	}
	d.Jobs = append(slices.Clone(d.Troubles), control.JobState{ID: 19, After: new("2000"), Max: "2100", Status: "running"},
		control.JobState{ID: 20, After: new("2100"), Max: "2200", Status: "pending"})
	d.RunningJobs, d.PendingJobs, d.Quarantined = 1, 7, 3
	d.CurrentBatchSize, d.BatchSizeReason = new(int32(2400)), new("p90 of 1600 keys was 33ms")
	d.P90Milliseconds, d.TargetMillis = new(41.0), new(50.0)
	return d
}

func TestDetailGolden(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	require.NoError(t, status.Detail(terminal.Screen{Out: &out}, detail(), time.UTC))
	golden(t, "detail.txt", out.String())

	out.Reset()
	require.NoError(t, status.Detail(terminal.Screen{Out: &out, Width: 60}, &control.Detail{Progress: everything()[2], BatchSize: 1000}, time.UTC))
	golden(t, "detail_waiting.txt", out.String())
}

func TestJSONGolden(t *testing.T) {
	t.Parallel()
	text, err := json.MarshalIndent(map[string]any{"list": everything()[1:2], "detail": detail()}, "", "  ")
	require.NoError(t, err)
	golden(t, "status.json", string(text)+"\n")
}

// story is what one who follows sees, and when.
func story() (at []time.Duration, seen [][]control.Progress) {
	p := everything()[0]
	other := everything()[2]
	add := func(when time.Duration, change func()) {
		change()
		at, seen = append(at, when), append(seen, []control.Progress{p, other})
	}
	add(0, func() {})
	add(300*time.Millisecond, func() { p.Keys, p.Percent = 500_000, 50 })
	add(time.Second, func() {})
	add(1100*time.Millisecond, func() { p.Status, p.Reason, p.Pace = "paused", new("paused by alice"), control.PacePaused })
	add(1200*time.Millisecond, func() { other.Reason = new("waits for copy_column_users (paused) to finish") })
	add(5*time.Second, func() { p.Status, p.Reason, p.Pace = "running", nil, control.PaceMoving })
	add(6*time.Second, func() { p.Status, p.Percent, p.Keys, p.SecondsElapsed = "finished", 100, 1_000_000, new(6.2) })
	return at, seen
}

func TestLinesGolden(t *testing.T) {
	t.Parallel()
	var lines, objects bytes.Buffer
	views := []status.View{status.NewView(t.Context(), terminal.Screen{Out: &lines}, time.UTC), status.NewJSONView(&objects)}
	at, seen := story()
	for i := range at {
		for _, view := range views {
			again, err := view.Show(noon.Add(at[i]), seen[i])
			require.NoError(t, err)
			if i == 1 {
				require.Equal(t, 700*time.Millisecond, again, "what was left out is told a second after the last line")
			}
		}
	}
	golden(t, "lines.txt", lines.String())
	golden(t, "lines.json", objects.String())
}
