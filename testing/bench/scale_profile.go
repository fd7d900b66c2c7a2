package bench

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/bbmd-dev/bbmd/internal/executor"
	"github.com/bbmd-dev/bbmd/internal/pgserver"
)

// profileSize is how many rows the batches have that are profiled.
const profileSize = 1000

// countsStatements reports whether the server can be started with pg_stat_statements, which is
// a package of its own in some distributions.
func countsStatements(b pgserver.Binaries) bool {
	for _, dir := range []string{"lib", filepath.Join("lib", "postgresql")} {
		if found, err := filepath.Glob(filepath.Join(b.Dir, "..", dir, "pg_stat_statements.*")); err == nil && len(found) > 0 {
			return true
		}
	}
	return false
}

// measureProfile says where the time of a batch goes, on a table and beside jobs of some size: in processes, in statements, in waiting.
func (r *Report) measureProfile(ctx context.Context, server *pgserver.Server, o Options) error {
	n := o.scale()
	d, err := newDatabase(ctx, server, "profile")
	if err != nil {
		return err
	}
	defer d.close(ctx)
	c := &crowd{chain: &chain{database: d, finished: n.jobs}, extentOfQueue: extentOfQueue{queued: n.queue[1].queued}}
	if err := c.fill(ctx, 10); err != nil { // jobs and migrations; its table gives way to the next
		return err
	}
	closeConn(ctx, c.conn)
	const kinds, looks = 2, 2
	if err := d.fill(ctx, bigints, kinds*looks*n.profiled); err != nil {
		return err
	}
	statements := countsStatements(server.Binaries())
	if statements {
		if err := d.run(ctx, "CREATE EXTENSION pg_stat_statements", "ALTER DATABASE profile SET pg_stat_statements.track = 'top'"); err != nil {
			return err
		}
	}
	if err := d.run(ctx, "UPDATE bbm.batched_background_migrations SET status = 'paused' WHERE status = 'running'"); err != nil {
		return err
	}
	rig, err := newRig(ctx, d, executor.DefaultSettings(), o.Logger)
	if err != nil {
		return err
	}
	defer rig.close()
	all, err := d.batches(ctx, bigints, kinds*looks*n.profiled, profileSize)
	if err != nil {
		return err
	}
	next := func() slice {
		s := slice{batches: all[:n.profiled/profileSize], size: profileSize}
		all = all[len(s.batches):]
		return s
	}
	for _, work := range []string{workSQL, workGo} {
		if err := r.profile(ctx, rig, work, next(), statements); err != nil {
			return err
		}
		if err := r.waits(ctx, rig, work, next()); err != nil {
			return err
		}
	}
	if !statements {
		r.shown(SectionProfile, "left out: statements, for want of pg_stat_statements on this server", "-", "-")
	}
	return nil
}

// profile runs one migration and says what processes and statements took.
func (r *Report) profile(ctx context.Context, rig *rig, work string, s slice, statements bool) error {
	d, batches := rig.db, float64(len(s.batches))
	if statements {
		if err := d.run(ctx, "SELECT pg_stat_statements_reset()"); err != nil {
			return err
		}
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	used, err := d.read(ctx, false)
	if err != nil {
		return err
	}
	own := ownCPU()
	t, err := rig.migrate(ctx, work, s, 1)
	if err != nil {
		return err
	}
	own = ownCPU() - own
	then, err := d.read(ctx, true)
	if err != nil {
		return err
	}
	runtime.ReadMemStats(&after)
	r.shown(SectionProfile, fmt.Sprintf("%s: a batch of %d rows, of %d batches, start and end of the migration included", work, s.size, len(s.batches)),
		fmt.Sprintf("%.0f µs of CPU of the server, %.0f µs of bbmd, %.1f kB of WAL, %.2f transactions that write", float64(then.cpu-used.cpu-int64(own))/batches/1000,
			float64(own.Nanoseconds())/batches/1000, float64(then.wal-used.wal)/batches/1000, float64(then.written-used.written)/batches),
		fmt.Sprintf("%.0f µs on the clock; %.0f allocations, %.1f kB in bbmd", float64(t.wall.Nanoseconds())/batches/1000,
			float64(after.Mallocs-before.Mallocs)/batches, float64(after.TotalAlloc-before.TotalAlloc)/batches/1000))
	if !statements {
		return nil
	}
	all, err := d.statements(ctx)
	if err != nil {
		return err
	}
	for _, st := range all {
		r.shown(SectionProfile, work+": "+st.name, fmt.Sprintf("%.0f µs a batch, %.1f %% of all statements", st.milliseconds*1000/batches, 100*st.milliseconds/total(all)),
			fmt.Sprintf("%.3f calls a batch, each %.0f buffers, %.2f kB of WAL", st.calls/batches, st.buffers/st.calls, st.wal/st.calls/1000))
	}
	return nil
}

// statement is what calls of one kind of statement took.
type statement struct {
	name                              string
	calls, milliseconds, buffers, wal float64
}

func total(all []statement) (milliseconds float64) {
	for _, s := range all {
		milliseconds += s.milliseconds
	}
	return milliseconds
}

// kindOf says which of bbmd's statements a text is, by words that only that one has.
func kindOf(text string) string {
	for _, k := range [][2]string{
		{"SET b = b +", "the Work's own"},
		{"FROM fenced", "the fence"},
		{"WITH RECURSIVE mig", "the claim of a block, where its batches end"},
		{"pg_advisory_xact_lock", "the lock before it"},
		{"m.min_batch_size, m.max_batch_size, extract(epoch FROM m.target_duration), extract", "the knobs, asked for with it"},
		{"bbm_progress", "the count, once a second"},
		{"slots AS MATERIALIZED", "the scan of a reconcile"},
	} {
		if strings.Contains(text, k[0]) {
			return k[1]
		}
	}
	return "all others: sessions, the start, the end, the bench's own"
}

// statements returns what was executed since the last reset, the dearest first.
func (d *database) statements(ctx context.Context) ([]statement, error) {
	rows, err := d.admin.Query(ctx, `SELECT query, calls::float8, total_exec_time + total_plan_time, (shared_blks_hit + shared_blks_read)::float8, wal_bytes::float8
		FROM pg_stat_statements WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database())`)
	if err != nil {
		return nil, fmt.Errorf("read pg_stat_statements: %w", err)
	}
	kinds := make(map[string]statement)
	var one statement
	if _, err := pgx.ForEachRow(rows, []any{&one.name, &one.calls, &one.milliseconds, &one.buffers, &one.wal}, func() error {
		name := kindOf(one.name)
		k := kinds[name]
		kinds[name] = statement{name, k.calls + one.calls, k.milliseconds + one.milliseconds, k.buffers + one.buffers, k.wal + one.wal}
		return nil
	}); err != nil {
		return nil, fmt.Errorf("read pg_stat_statements: %w", err)
	}
	all := make([]statement, 0, len(kinds))
	for _, k := range kinds {
		all = append(all, k)
	}
	slices.SortFunc(all, func(a, b statement) int { return cmp.Compare(b.milliseconds, a.milliseconds) })
	return all, nil
}

// waits runs one migration and looks at what its sessions wait for.
func (r *Report) waits(ctx context.Context, rig *rig, work string, s slice) error {
	looking, stop := context.WithCancelCause(ctx)
	counts := make(map[string]int)
	looked := make(chan error, 1)
	go func() { looked <- rig.db.lookAtWaits(looking, counts) }()
	_, err := rig.migrate(ctx, work, s, 1)
	stop(errOver)
	if lookErr := <-looked; !errors.Is(lookErr, errOver) {
		err = errors.Join(err, lookErr)
	}
	if err != nil {
		return err
	}
	var all int
	var names []string
	for name, n := range counts {
		all, names = all+n, append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int { return cmp.Or(cmp.Compare(counts[b], counts[a]), cmp.Compare(a, b)) })
	for i, name := range names {
		names[i] = fmt.Sprintf("%.0f %% %s", 100*float64(counts[name])/float64(all), name)
	}
	r.shown(SectionProfile, fmt.Sprintf("%s: what the migration's session is at, of %d looks", work, all), strings.Join(names[:min(len(names), 6)], ", "), "-")
	return nil
}

// lookAtWaits counts what the sessions of workers are at, until ctx ends. Of a session that waits for its client the
// server has done all that it was told.
func (d *database) lookAtWaits(ctx context.Context, counts map[string]int) error {
	conn, err := d.connect(ctx, "bench waits")
	if err != nil {
		return err
	}
	defer closeConn(ctx, conn)
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for {
		rows, err := conn.Query(ctx, `SELECT coalesce(wait_event_type || ' ' || wait_event, 'on a processor') FROM pg_stat_activity
			WHERE datname = current_database() AND application_name LIKE 'bbmd/profile/%'`)
		if err == nil {
			var at string
			_, err = pgx.ForEachRow(rows, []any{&at}, func() error { counts[at]++; return nil })
		}
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case err != nil:
			return fmt.Errorf("look at waits: %w", err)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}
