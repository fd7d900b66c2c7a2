package daemon_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/daemon"
	"github.com/bbmd-dev/bbmd/registry"
	"github.com/bbmd-dev/bbmd/testing/pgtest"
)

func TestDryRun(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	rows(t, db, "t", 5000)
	db.Exec(t, `SELECT bbm.enqueue('bump', 't', name => 'm', parallelism => 2, paused => true, throttle => '{"duty": 0.1}'), bbm.enqueue('bump', 't', name => 'bad', throttle => '{"dutty": 1}')`)
	all := registry.New()
	require.NoError(t, all.Register(bump()))
	cfg := configFor(t, db)
	dryRun := func(o daemon.DryRunOptions) (*daemon.DryRunReport, error) {
		o.Works = all
		return daemon.DryRun(t.Context(), cfg, "default", o)
	}

	r, err := dryRun(daemon.DryRunOptions{Name: "m", Batches: 4, BatchSize: 100})
	require.NoError(t, err)
	require.Equal(t, []string{"m", "bump", "public.t"}, []string{r.Migration, r.Work, r.Table})
	require.Len(t, r.Batches, 4)
	require.Equal(t, 2, r.Forecast.Workers)
	require.InDelta(t, 0.1, r.Forecast.Durations[1].Duty, 0.001)

	r, err = dryRun(daemon.DryRunOptions{Request: daemon.Request{Work: "bump", Table: "t", BatchSize: new(int32(5)), Min: new("4000"), Max: new("4100")}, Batches: 2})
	require.NoError(t, err)
	require.Equal(t, "4004", r.Batches[0].End, "five keys from the start of the range on")
	require.Empty(t, r.Migration)
	require.Equal(t, "active paused", pgtest.One[string](t, db, "SELECT string_agg(status, ' ' ORDER BY status) FROM bbm.progress"), "nothing was enqueued or begun")
	require.Zero(t, pgtest.One[int](t, db, "SELECT count(*) FROM t WHERE n <> 0"))

	for want, o := range map[string]daemon.DryRunOptions{
		"the migration would fail: table nowhere does not exist":                           {Request: daemon.Request{Work: "bump", Table: "nowhere"}},
		`the migration would fail: throttle configuration: read JSON: json: unknown field`: {Name: "bad"},
		`the migration would fail: min_value 9 is above max_value 3`:                       {Request: daemon.Request{Work: "bump", Table: "t", Min: new("9"), Max: new("3")}},
		`the migration would fail: arguments of bump: `:                                    {Request: daemon.Request{Work: "bump", Table: "t", Arguments: []byte(`{"a": 1}`)}},
	} {
		_, err := dryRun(o)
		require.ErrorIs(t, err, daemon.ErrWouldFail)
		require.ErrorContains(t, err, want)
	}
	_, err = dryRun(daemon.DryRunOptions{Name: "nobody"})
	require.ErrorIs(t, err, daemon.ErrNoMigration)
	_, err = dryRun(daemon.DryRunOptions{Request: daemon.Request{Work: "bumb", Table: "t"}})
	require.ErrorIs(t, err, registry.ErrUnknownWork)
}
