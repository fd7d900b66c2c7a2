package throttle_test

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/internal/throttle"
)

func TestDefaultIsValidAndSurvivesJSON(t *testing.T) {
	t.Parallel()
	require.NoError(t, throttle.Default().Validate())
	written, err := json.Marshal(throttle.Default())
	require.NoError(t, err)
	var read throttle.Config
	require.NoError(t, json.Unmarshal(written, &read))
	require.Empty(t, cmp.Diff(throttle.Default(), read, ignoreUnexported()))
}

func ignoreUnexported() cmp.Option {
	return cmp.FilterPath(func(p cmp.Path) bool {
		field, ok := p.Last().(cmp.StructField)
		return ok && strings.ToLower(field.Name()[:1]) == field.Name()[:1]
	}, cmp.Ignore())
}

func TestValidateSaysEverythingAtOnce(t *testing.T) {
	t.Parallel()
	c := throttle.Default()
	c.Interval = throttle.Duration(time.Millisecond)
	c.UnreadableAfter = -1
	c.HiddenDuty, c.Resume, c.Duty = 1.5, 0, throttle.Share(math.NaN())
	c.Busy = throttle.Busy{Mode: "maybe", Cores: -1, Floor: 2}
	c.Blocked.Mode = ""
	c.ReplicaLag = throttle.ReplicaLag{
		Mode: throttle.On, Bytes: -1, Time: -1, MissingFor: throttle.Duration(48 * time.Hour), LogicalSlots: -1,
		Standbys: []string{"a", "b"}, Ignore: []string{"b", ""},
	}
	c.WALRate.PerSecond = -1
	c.ArchiveBacklog.Segments = 0
	c.Autovacuum.Duty = -1
	c.Xmin = throttle.Xmin{Mode: throttle.Auto, Age: -1, Transactions: -1, Duty: 9}
	c.Custom = []throttle.Custom{
		{Name: "a b", SQL: " ", Limit: math.Inf(1)},
		{Name: "q", SQL: "SELECT 1", Every: 1, Timeout: 1, Duty: 1},
		{Name: "q", SQL: "SELECT 1"},
	}
	c.Windows = make([]throttle.Window, 1)

	err := c.Validate()
	require.Error(t, err)
	var keys []string
	for line := range strings.Lines(err.Error()) {
		key, _, found := strings.Cut(line, ": ")
		require.True(t, found, line)
		keys = append(keys, key)
	}
	require.Equal(t, []string{
		"interval", "unreadable_after", "hidden_duty", "duty", "resume", "busy.mode", "blocked.mode", "busy.cores", "busy.floor",
		"replica_lag.bytes", "replica_lag.time", "replica_lag.missing_for", "replica_lag.logical_slots", "wal_rate.per_second",
		"archive_backlog.segments", "autovacuum.duty", "xmin.age", "xmin.transactions", "xmin.duty",
		"replica_lag.ignore", "replica_lag", "custom[0].name", "custom[0].sql", "custom[0].limit",
		"custom[1].every", "custom[1].timeout", "custom[1].duty", "custom[2].name", "windows[0]",
	}, keys)
}

func TestWith(t *testing.T) {
	t.Parallel()
	base := throttle.Default()
	base.ReplicaLag.Standbys = []string{"one", "two"}
	base.Custom = []throttle.Custom{{Name: "queue", SQL: "SELECT 1", Limit: 5, Duty: 0.5}}
	var err error
	base.Windows, err = windows("22:00-06:00 UTC")
	require.NoError(t, err)
	before, err := json.Marshal(base)
	require.NoError(t, err)

	merged, err := base.With([]byte(`{
		"duty": "50%", "busy": {"floor": 0.2}, "replica_lag": {"bytes": "1MB", "standbys": ["three"]},
		"custom": [{"name": "other", "sql": "SELECT 2"}], "windows": null}`))
	require.NoError(t, err)
	require.InDelta(t, 0.5, float64(merged.Duty), 1e-12)
	require.InDelta(t, 0.2, float64(merged.Busy.Floor), 1e-12)
	require.Equal(t, throttle.Auto, merged.Busy.Mode, "what is not said is the base's")
	require.Equal(t, throttle.Bytes(1<<20), merged.ReplicaLag.Bytes)
	require.Equal(t, base.ReplicaLag.Time, merged.ReplicaLag.Time)
	require.Equal(t, []string{"three"}, merged.ReplicaLag.Standbys)
	require.Equal(t, []throttle.Custom{{Name: "other", SQL: "SELECT 2"}}, merged.Custom)
	require.Empty(t, merged.Windows)

	after, err := json.Marshal(base)
	require.NoError(t, err)
	require.Equal(t, string(before), string(after), "the base is as it was")

	same, err := base.With(nil)
	require.NoError(t, err)
	require.Len(t, same.Windows, 1)
	require.Len(t, same.ReplicaLag.Standbys, 2)

	for override, want := range map[string]string{
		`{"dutty": 1}`:                       "dutty",
		`{"replica_lag": {"byte": 1}}`:       "byte",
		`{"duty": 2, "busy": {"cores": -1}}`: "share from 0 to 1",
		`{"busy": {"cores": -1}, "resume": 0}`: "resume: is 0, so that no stop would ever lift: 0.8 is usual, 1 is the limit itself\n" +
			"busy.cores: is -1",
		`{"interval": "1ms"}`:                    "interval: is 1ms",
		`{"expires_at": "2030-01-01T00:00:00Z"}`: "is for the override of one migration",
		`{"windows": ["25:00"]}`:                 `time window "25:00"`,
		`{"expires_at": "tonight"}`:              "parsing time",
		`{} {}`:                                  "invalid character",
		`[]`:                                     "cannot unmarshal array",
		`"duty"`:                                 "cannot unmarshal string",
	} {
		got, err := base.With([]byte(override))
		require.ErrorContains(t, err, want, override)
		require.ErrorContains(t, err, "throttle configuration: ", override)
		require.InDelta(t, 1, float64(got.Duty), 1e-12)
	}
}

func TestCheckOverride(t *testing.T) {
	t.Parallel()
	base, err := throttle.Default().With([]byte(`{"interval": "200ms"}`))
	require.NoError(t, err)
	require.Equal(t, throttle.Duration(200*time.Millisecond), base.Interval)
	for _, fine := range []string{``, ` `, `null`, `{}`, `{"duty": 0, "expires_at": "2030-01-01T00:00:00Z"}`, `{"interval": "200ms"}`} {
		require.NoError(t, base.CheckOverride([]byte(fine)), fine)
	}
	for override, want := range map[string]string{
		`{"interval": "100ms"}`: "throttle override: interval: is the database's",
		`{"duty": 2}`:           "throttle override: ",
		`{"expires_at": 5}`:     "throttle override: read JSON",
	} {
		require.ErrorContains(t, base.CheckOverride([]byte(override)), want)
	}
}

func windows(texts ...string) ([]throttle.Window, error) {
	all := make([]throttle.Window, len(texts))
	for i, text := range texts {
		if err := all[i].UnmarshalText([]byte(text)); err != nil {
			return nil, err
		}
	}
	return all, nil
}

func FuzzWith(f *testing.F) {
	for _, seed := range []string{
		`{"duty": 0.5}`, `{"windows": ["Mon 22:00-06:00 Europe/Berlin"], "custom": [{"name": "a", "sql": "b"}]}`,
		`{"replica_lag": {"standbys": null, "bytes": "1MB"}}`, `{"expires_at": "2026-01-01T00:00:00Z"}`, `null`, `{"Config": null}`, `{"busy": null}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, override []byte) {
		merged, err := throttle.Default().With(override)
		if err != nil {
			require.NotEmpty(t, err.Error())
			return
		}
		require.NoError(t, merged.CheckOverride(nil))
		require.NoError(t, merged.Validate())
		_, err = json.Marshal(merged)
		require.NoError(t, err)
	})
}
