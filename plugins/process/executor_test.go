package process_test

import (
	"context"
	"flag"
	"math/rand/v2"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/plugins/process"
	"github.com/bbmd-dev/bbmd/registry"
	"github.com/bbmd-dev/bbmd/testing/pgtest"
)

var seed = flag.Uint64("seed", rand.Uint64(), "where programs are killed")

// TestKilledPrograms kills a program in the middle of 50 batches at least, which are
// neither lost nor processed twice.
func TestKilledPrograms(t *testing.T) {
	t.Parallel()
	const batches = 120 // one in four kills its program, and a busy machine may spare some
	t.Logf("-seed %d", *seed)
	db := pgtest.New(t)
	h := newHouse(t, nil)
	p := h.child("suicidal", strconv.FormatUint(*seed, 10))
	execute(t, db, p.Works()...)
	for _, name := range []string{"a", "b"} {
		table(t, db, name, batches*suicidalSize)
		enqueue(t, db, "bump", name, "{}", suicidalSize, 1)
	}
	for _, name := range []string{"a", "b"} {
		finished(t, db, name)
		require.Equal(t, []int{1}, pgtest.Column[int](t, db, "SELECT DISTINCT n FROM "+name))
		require.EqualValues(t, batches*suicidalSize, pgtest.One[int64](t, db, "SELECT count(*) FROM "+name))
	}
	require.GreaterOrEqual(t, h.crashes.Load(), int64(50))
}

// TestOtherWorkGoesOn demands that programs which are no good keep no other Work from finishing.
func TestOtherWorkGoesOn(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	h := newHouse(t, func(o *process.Options) { o.CancelGrace = 10 * time.Millisecond })
	for name, mode := range map[string]string{"bad_a": "hangs", "bad_b": "flood logs"} {
		h.write(name, own(t, name, mode, nil, manifest{"name": name, "timeout": "1h"}))
		table(t, db, name, 100)
		enqueue(t, db, name, name, "{}", 10, 1)
	}
	h.write("good", own(t, "good", "good", nil, manifest{"name": "bump", "verify": true}, manifest{"name": "bump_sql"}))
	var works []registry.Work
	for _, p := range h.open() {
		works = append(works, p.Works()...)
	}
	execute(t, db, works...)
	db.WaitFor(t, "SELECT count(*) = 2 FROM bbm.batched_background_migrations WHERE status = 'active'")
	for _, work := range []string{"bump", "bump_sql"} {
		table(t, db, "t_"+work, 500)
		enqueue(t, db, work, "t_"+work, "{}", 10, 1)
		finished(t, db, "t_"+work)
		require.Equal(t, []int{1}, pgtest.Column[int](t, db, "SELECT DISTINCT n FROM t_"+work))
	}
}

// TestReplacedCostsNoAttempt lets batches meet a plugin that was closed, as where a
// directory of plugins is loaded again.
func TestReplacedCostsNoAttempt(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	old, next := newHouse(t, nil).child("good"), newHouse(t, nil).child("good")
	require.NoError(t, old.Close())
	var met atomic.Int64
	work := workOf(t, next, "bump")
	work.Run = func(ctx context.Context, tx pgx.Tx, b registry.Batch) (registry.Result, error) {
		if b.End == "20" && met.Add(1) <= 2 {
			return workOf(t, old, "bump").Run(ctx, tx, b)
		}
		return workOf(t, next, "bump").Run(ctx, tx, b)
	}
	execute(t, db, work)
	table(t, db, "t", 30)
	enqueue(t, db, "bump", "t", "{}", 10, 1)
	finished(t, db, "t")
	require.Equal(t, []int{1}, pgtest.Column[int](t, db, "SELECT DISTINCT n FROM t"))
	require.Equal(t, []int{1}, pgtest.Column[int](t, db, "SELECT DISTINCT attempts FROM bbm.batched_background_migration_jobs"))
	require.Equal(t, 2, pgtest.One[int](t, db, "SELECT max(transients) FROM bbm.batched_background_migration_jobs"))
}
