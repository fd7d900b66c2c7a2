package throttle_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/internal/throttle"
)

func TestBytes(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]struct {
		bytes      throttle.Bytes
		pretty     string
		marshalled string
	}{
		`"32MB"`:     {32 << 20, "32 MB", `"32MB"`},
		`"1.5 GB"`:   {1536 << 20, "1.5 GB", `"1536MB"`},
		`"512kB"`:    {512 << 10, "512 kB", `"512kB"`},
		`"64 mib"`:   {64 << 20, "64 MB", `"64MB"`},
		`"100"`:      {100, "100 B", `"100B"`},
		`"7B"`:       {7, "7 B", `"7B"`},
		`1000000`:    {1000000, "976.6 kB", `"1000000B"`},
		`0`:          {0, "0 B", `"0"`},
		`"2TB"`:      {2 << 40, "2 TB", `"2TB"`},
		`"1048575B"`: {1<<20 - 1, "1 MB", `"1048575B"`},
	} {
		var b throttle.Bytes
		require.NoError(t, json.Unmarshal([]byte(text), &b), text)
		require.Equal(t, want.bytes, b, text)
		require.Equal(t, want.pretty, b.String(), text)
		marshalled, err := json.Marshal(b)
		require.NoError(t, err)
		require.JSONEq(t, want.marshalled, string(marshalled))
	}
	for _, text := range []string{`"-1MB"`, `"MB"`, `"1 parsec"`, `"1MBMB"`, `""`, `"NaN"`, `"9e30TB"`, `true`, `{}`, `[1]`} {
		var b throttle.Bytes
		require.Error(t, json.Unmarshal([]byte(text), &b), text)
	}
}

func FuzzBytes(f *testing.F) {
	for _, seed := range []string{"32MB", "1.5 GB", "0", "1e3kB", "0x10", "9223372036854775807", "1_0MB"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var b, again throttle.Bytes
		if b.UnmarshalText([]byte(text)) != nil {
			return
		}
		require.GreaterOrEqual(t, b, throttle.Bytes(0))
		written, err := b.MarshalText()
		require.NoError(t, err)
		require.NoError(t, again.UnmarshalText(written))
		require.InEpsilon(t, float64(b)+1, float64(again)+1, 1e-12)
		require.NotEmpty(t, b.String())
	})
}

func TestModesAndSharesAndDurations(t *testing.T) {
	t.Parallel()
	var v struct {
		Mode throttle.Mode     `json:"mode"`
		Duty throttle.Share    `json:"duty"`
		For  throttle.Duration `json:"for"`
	}
	read := func(text string) error { return json.Unmarshal([]byte(text), &v) }

	for text, want := range map[string]throttle.Mode{`"auto"`: throttle.Auto, `"ON"`: throttle.On, `true`: throttle.On, `false`: throttle.Off, `"off"`: throttle.Off} {
		require.NoError(t, read(`{"mode": `+text+`}`))
		require.Equal(t, want, v.Mode)
	}
	for text, want := range map[string]throttle.Share{`0.3`: 0.3, `"30%"`: 0.3, `"12.5 %"`: 0.125, `1`: 1, `"0"`: 0} {
		require.NoError(t, read(`{"duty": `+text+`}`))
		require.InDelta(t, float64(want), float64(v.Duty), 1e-12)
	}
	require.NoError(t, read(`{"for": "1m30s"}`))
	require.Equal(t, throttle.Duration(90*time.Second), v.For)
	for _, text := range []string{`{"mode": "maybe"}`, `{"duty": 30}`, `{"duty": "-1%"}`, `{"duty": "NaN"}`, `{"duty": {}}`, `{"for": 15}`, `{"for": "15"}`, `{"for": []}`} {
		require.Error(t, read(text), text)
	}
}

func TestSpan(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		0:                                     "0 s",
		1500 * time.Microsecond:               "1.5 ms",
		200 * time.Millisecond:                "200 ms",
		1400 * time.Millisecond:               "1.4 s",
		12300 * time.Millisecond:              "12 s",
		time.Minute:                           "1 min",
		200 * time.Second:                     "3 min 20 s",
		2*time.Hour + 30*time.Second:          "2 h",
		52*time.Hour + 3*time.Minute:          "2 d 4 h",
		-90 * time.Second:                     "-1 min 30 s",
		26*time.Hour + 59*time.Minute:         "1 d 2 h",
		10*time.Hour + 59*time.Second:         "10 h",
		59*time.Second + 999*time.Millisecond: "1 min",
	} {
		require.Equal(t, want, throttle.Span(d), d.String())
	}
}

func TestVerdictRest(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		v      throttle.Verdict
		worked time.Duration
		want   time.Duration
	}{
		{throttle.Verdict{Action: throttle.Go, Duty: 1}, time.Hour, 0},
		{throttle.Verdict{Action: throttle.Slow, Duty: 0.5}, time.Second, time.Second},
		{throttle.Verdict{Action: throttle.Slow, Duty: 0.1}, time.Second, 9 * time.Second},
		{throttle.Verdict{Action: throttle.Slow, Duty: 0.001}, time.Second, 30 * time.Second},
		{throttle.Verdict{Action: throttle.Slow, Duty: 0.5}, 0, 0},
		{throttle.Verdict{Action: throttle.Stop}, 0, 30 * time.Second},
	} {
		require.InDelta(t, float64(c.want), float64(c.v.Rest(c.worked)), 1e3, "%v", c)
	}
}
