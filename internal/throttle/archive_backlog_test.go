package throttle_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/internal/pgserver"
	"github.com/bbmd-dev/bbmd/internal/throttle"
	"github.com/bbmd-dev/bbmd/testing/pgtest"
)

func TestArchiveBacklogOfARealServer(t *testing.T) {
	t.Parallel()
	server := pgtest.NewServer(t, pgserver.Options{Settings: map[string]string{"archive_mode": "on", "archive_command": "true"}})
	db := server.NewEmpty(t).Superuser(t)
	db.Exec(t, "CREATE TABLE noise ()")
	segment := func() {
		db.Exec(t, "SELECT pg_logical_emit_message(false, 'bbmd', 'x'), pg_switch_wal()")
	}
	segment()
	db.WaitFor(t, "SELECT last_archived_wal IS NOT NULL FROM pg_stat_archiver")

	c := only("archive_backlog")
	c.ArchiveBacklog.Segments = 3
	address, _ := asRole(t, db)
	a := begin(t, onServer(t, address, c), throttle.Scope{Migration: "m"})
	until(t, a, throttle.Go, "")

	set := func(command string) {
		db.Exec(t, "ALTER SYSTEM SET archive_command = '"+command+"'")
		db.Exec(t, "SELECT pg_reload_conf()")
	}
	set("false")
	for range 4 {
		segment()
	}
	until(t, a, throttle.Stop, "archive backlog is 4 segments, more than 3 segments")
	until(t, a, throttle.Stop, "; the archiver fails on 0000000100000000000000")
	require.InDelta(t, 4, state(t, a, "archive_backlog").Value, 1e-9)
	set("true")
	until(t, a, throttle.Go, "")
	require.Zero(t, state(t, a, "archive_backlog").Value)
}

// archive is an answer; the position is that many segments of 16 MB.
func archive(archived, failed string, failing bool, segments int64) string {
	return fmt.Sprintf(`{"archived": %q, "failed": %q, "failing": %t, "position": %d, "size": %d}`, archived, failed, failing, segments<<24+5, 1<<24)
}

func TestArchiveBacklog(t *testing.T) {
	t.Parallel()
	const of100, of101history = "000000010000000000000064", "00000002.history"
	for name, c := range map[string]struct {
		answers []string
		waiting float64
		reason  string
	}{
		"off":                          {[]string{`{"off": true}`}, 0, ""},
		"up to date":                   {[]string{archive(of100, "", false, 101)}, 0, ""},
		"some wait":                    {[]string{archive(of100, "", false, 121)}, 20, ""},
		"too many":                     {[]string{archive(of100, "", false, 151)}, 50, "archive backlog is 50 segments, more than 42 segments"},
		"too many, failing":            {[]string{archive(of100, "000000010000000000000065", true, 151)}, 50, "archive backlog is 50 segments, more than 42 segments; the archiver fails on 000000010000000000000065"},
		"between the marks":            {[]string{archive(of100, "", false, 151), archive(of100, "", false, 139)}, 38, "archive backlog is 38 segments, not yet less than 33.6 segments (the limit is 42 segments)"},
		"below the lower one":          {[]string{archive(of100, "", false, 151), archive(of100, "", false, 133)}, 32, ""},
		"over the end of a log":        {[]string{archive("0000000100000000000000FE", "", false, 258)}, 3, ""},
		"a backup's label":             {[]string{archive(of100+".00000028.backup", "", false, 103)}, 2, ""},
		"never archived":               {[]string{archive("", "", false, 500)}, 0, ""},
		"never archived since":         {[]string{archive("", "", false, 500), archive("", "", false, 545)}, 45, "archive backlog is 45 segments, more than 42 segments"},
		"never archived, failing":      {[]string{archive("", of100, true, 150)}, 50, "archive backlog is 50 segments, more than 42 segments; the archiver fails on " + of100},
		"a history leaves what it was": {[]string{archive(of100, "", false, 103), archive(of101history, "", false, 105)}, 4, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inWorld(t, only("archive_backlog"), func(w *world) {
				t := w.T
				w.set(func() { w.answers["archive_backlog"] = c.answers[0] })
				a := w.begin(throttle.Scope{Migration: "m"})
				for _, answer := range c.answers {
					w.answer("archive_backlog", answer)
				}
				require.InDelta(t, c.waiting, state(t, a, "archive_backlog").Value, 1e-9)
				require.Equal(t, c.reason, a.Verdict().Reason)
			})
		})
	}
}

func FuzzSegmentNumber(f *testing.F) {
	for _, seed := range []string{"000000010000000A000000FE", "00000002.history", "000000010000000A000000FE.partial", "", "zzzzzzzzzzzzzzzzzzzzzzzz"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, name string) {
		for _, size := range []int64{1 << 20, 1 << 24, 1 << 30} {
			number, ok := throttle.SegmentNumber(name, size)
			require.GreaterOrEqual(t, number, int64(0))
			require.True(t, ok || number == 0)
		}
	})
}
