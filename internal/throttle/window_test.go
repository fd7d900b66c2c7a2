package throttle_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/internal/throttle"
)

func TestParseWindow(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"Mon-Fri 22:00-06:00 Europe/Berlin":        "Mon-Fri 22:00-06:00 Europe/Berlin",
		"  mon-FRI   22:00-6:00  Europe/Berlin ":   "Mon-Fri 22:00-06:00 Europe/Berlin",
		"Monday,Tuesday 1:30-5:00":                 "Mon,Tue 01:30-05:00 UTC",
		"Sat,Sun UTC":                              "Sat,Sun 00:00-24:00 UTC",
		"Fri-Mon 00:00-24:00 UTC":                  "Mon,Fri-Sun 00:00-24:00 UTC",
		"Mon-Sun 08:00-09:00":                      "08:00-09:00 UTC",
		"22:00-00:00 America/New_York":             "22:00-24:00 America/New_York",
		"Sun":                                      "Sun 00:00-24:00 UTC",
		"Mon,Wed-Fri,Sun 10:00-11:00 Asia/Kolkata": "Mon,Wed-Fri,Sun 10:00-11:00 Asia/Kolkata",
	} {
		w, err := throttle.ParseWindow(text)
		require.NoError(t, err, text)
		require.Equal(t, want, w.String(), text)
	}
	for text, want := range map[string]string{
		"":                                "is empty",
		"Europe/Berlin":                   `"Europe/Berlin" is neither days nor hours`,
		"Mon-Fry 22:00-06:00":             `"Fry" is not a day`,
		"Mon,, 22:00-06:00":               `"" is not a day`,
		"22:00":                           "not a span of hours",
		"22:00-25:00":                     `"25:00" is not a time`,
		"22:60-23:00":                     `"22:60" is not a time`,
		"22:0-23:00":                      `"22:0" is not a time`,
		"22-6":                            `"22" is not a time`,
		"24:00-06:00":                     "begins none",
		"24:01-06:00":                     "not a time",
		"06:00-06:00":                     "the whole day is 00:00-24:00",
		"22:00-06:00 Europe/Bonn":         `"Europe/Bonn" is not a time zone`,
		"22:00-06:00 ../../etc/passwd":    "is not a time zone",
		"22:00-06:00 Local":               "name the time zone",
		"22:00-06:00 UTC please":          "something after the time zone",
		"Mon 22:00-06:00 UTC 23:00-24:00": "something after the time zone",
		"+1:00-2:00":                      "neither days nor hours",
		"1:00--2:00":                      "not a time",
		"Mon-Fri-Sat 22:00-06:00":         `"Fri-Sat" is not a day`,
		strings.Repeat("Mon ", 1000):      "something after",
	} {
		_, err := throttle.ParseWindow(text)
		require.ErrorContains(t, err, want, text)
		require.ErrorContains(t, err, "write it as in", text)
	}
}

// clock reads "2006-01-02 15:04 -0700".
func clock(t *testing.T, text string) time.Time {
	t.Helper()
	at, err := time.Parse("2006-01-02 15:04 -0700", text)
	require.NoError(t, err)
	return at
}

func TestWindowContains(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		window  string
		at      string
		open    bool
		because string
	}{
		{"Mon-Fri 22:00-06:00 Europe/Berlin", "2026-11-23 21:59 +0100", false, "Monday, before it opens"},
		{"Mon-Fri 22:00-06:00 Europe/Berlin", "2026-11-23 22:00 +0100", true, "Monday"},
		{"Mon-Fri 22:00-06:00 Europe/Berlin", "2026-11-24 05:59 +0100", true, "the night that began on Monday"},
		{"Mon-Fri 22:00-06:00 Europe/Berlin", "2026-11-24 06:00 +0100", false, "the end does not belong to it"},
		{"Mon-Fri 22:00-06:00 Europe/Berlin", "2026-11-23 03:00 +0100", false, "the night that began on Sunday"},
		{"Mon-Fri 22:00-06:00 Europe/Berlin", "2026-11-28 03:00 +0100", true, "the night that began on Friday"},
		{"Mon-Fri 22:00-06:00 Europe/Berlin", "2026-11-28 22:00 +0100", false, "Saturday"},
		{"Mon-Fri 22:00-06:00 Europe/Berlin", "2026-11-23 21:00 +0000", true, "the same moment elsewhere"},
		{"Sat,Sun UTC", "2026-11-28 00:00 +0000", true, ""},
		{"Sat,Sun UTC", "2026-11-29 23:59 +0000", true, ""},
		{"Sat,Sun UTC", "2026-11-30 00:00 +0000", false, ""},
		{"02:00-03:00 Europe/Berlin", "2026-03-29 01:30 +0000", false, "the hour that spring skips: 03:30"},
		{"02:00-04:00 Europe/Berlin", "2026-03-29 01:30 +0000", true, "03:30"},
		{"02:00-03:00 Europe/Berlin", "2026-10-25 00:30 +0000", true, "02:30 summer time"},
		{"02:00-03:00 Europe/Berlin", "2026-10-25 01:30 +0000", true, "02:30 for the second time"},
		{"02:00-03:00 Europe/Berlin", "2026-10-25 02:00 +0000", false, "03:00"},
	} {
		w, err := throttle.ParseWindow(c.window)
		require.NoError(t, err)
		require.Equal(t, c.open, w.Contains(clock(t, c.at)), "%s at %s: %s", c.window, c.at, c.because)
	}
}

func TestWindowOpens(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ window, at, opens string }{
		{"Mon-Fri 22:00-06:00 Europe/Berlin", "2026-11-23 12:00 +0100", "2026-11-23 22:00 +0100"},
		{"Mon-Fri 22:00-06:00 Europe/Berlin", "2026-11-24 03:00 +0100", "2026-11-24 03:00 +0100"},
		{"Mon-Fri 22:00-06:00 Europe/Berlin", "2026-11-28 07:00 +0100", "2026-11-30 22:00 +0100"},
		{"Wed 10:00-11:00 UTC", "2026-11-25 11:00 +0000", "2026-12-02 10:00 +0000"},
		{"22:00-23:00 Europe/Berlin", "2026-03-28 23:30 +0100", "2026-03-29 22:00 +0200"}, // 22.5 hours on
		{"22:00-23:00 Europe/Berlin", "2026-10-24 23:30 +0200", "2026-10-25 22:00 +0100"},
		{"02:30-03:30 Europe/Berlin", "2026-03-29 00:00 +0100", "2026-03-29 03:00 +0200"}, // in with the jump
		{"02:00-03:00 Europe/Berlin", "2026-03-29 00:00 +0100", "2026-03-30 02:00 +0200"}, // skipped for a day
		{"02:00-02:30 Europe/Berlin", "2026-10-25 02:45 +0200", "2026-10-25 02:00 +0100"}, // a second time
		{"00:00-01:00 America/Sao_Paulo", "2018-11-03 12:00 -0300", "2018-11-05 00:00 -0200"},
	} {
		w, err := throttle.ParseWindow(c.window)
		require.NoError(t, err)
		require.WithinDuration(t, clock(t, c.opens), w.Opens(clock(t, c.at)), 0, "%s from %s", c.window, c.at)
	}
}

func TestSeveralWindows(t *testing.T) {
	t.Parallel()
	c := only()
	var err error
	c.Windows, err = windows("Mon-Fri 22:00-06:00 Europe/Berlin", "Sat 12:00-13:00 UTC", "Sat 05:00-06:00 UTC")
	require.NoError(t, err)
	inWorld(t, c, func(w *world) { // Saturday 00:00 UTC, 01:00 in Berlin: Friday's night
		t := w.T
		a := w.begin(throttle.Scope{Migration: "m"})
		require.Equal(t, throttle.Go, a.Verdict().Action)
		w.pass(5*time.Hour - time.Second)
		require.Equal(t, throttle.Go, a.Verdict().Action)
		w.pass(2 * time.Second)
		require.Equal(t, throttle.Go, a.Verdict().Action, "one follows the other")
		w.pass(time.Hour)
		require.Equal(t, "outside of the time windows (Mon-Fri 22:00-06:00 Europe/Berlin; Sat 12:00-13:00 UTC; Sat 05:00-06:00 UTC): "+
			"the next opens at Sat 2000-01-01 12:00 UTC, in 6 h", a.Verdict().Reason)
	})
}

func FuzzParseWindow(f *testing.F) {
	for _, seed := range []string{
		"Mon-Fri 22:00-06:00 Europe/Berlin", "Sat,Sun UTC", "02:30-03:30 Europe/Berlin", "Mon", "Fri-Mon 0:00-24:00 Africa/Casablanca",
		"23:30-00:30 Australia/Lord_Howe", "Sun-Sat 00:00-00:01 Pacific/Apia", "22:00-06:00 ../x", "Mon,Mon,Tue-Mon 1:00-2:00",
	} {
		f.Add(seed, int64(1774746000))
	}
	f.Fuzz(func(t *testing.T, text string, unix int64) {
		w, err := throttle.ParseWindow(text)
		if err != nil {
			require.Contains(t, err.Error(), "time window")
			return
		}
		again, err := throttle.ParseWindow(w.String())
		require.NoError(t, err)
		require.Equal(t, w.String(), again.String())

		at := time.Unix(unix%(1<<33), 0)
		opens := w.Opens(at)
		if w.Contains(at) {
			require.Equal(t, at, opens)
			return
		}
		require.False(t, opens.IsZero(), "every window opens within ten days, or twice that where an hour is skipped")
		require.True(t, w.Contains(opens))
		for step := at; step.Before(opens); step = step.Add(5 * time.Minute) {
			require.False(t, w.Contains(step), "it was open at %s already", step)
		}
	})
}
