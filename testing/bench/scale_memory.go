package bench

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/bbmd-dev/bbmd/internal/pgserver"
)

// updateSQL is the work of a daemon that has no Works of ours.
const updateSQL = `{"sql": "UPDATE public.bench_rows SET b = b + 1 WHERE :range"}`

// measureDatabases looks at one process that looks after many databases: at rest, and while there is work on all of them.
func (r *Report) measureDatabases(ctx context.Context, server *pgserver.Server, o Options) error {
	n := o.scale()
	if o.Program == "" {
		r.shown(SectionDatabases, "left out: it needs a bbmd to run, -bbmd", "-", "-")
		return nil
	}
	all := make([]*database, 0, n.databases)
	defer func() {
		for _, d := range all {
			d.close(ctx)
		}
	}()
	for i := range n.databases {
		d, err := newDatabase(ctx, server, fmt.Sprintf("fleet_%d", i))
		if err != nil {
			return err
		}
		all = append(all, d)
		if err := d.fill(ctx, bigints, 20_000); err != nil {
			return err
		}
	}
	alone, err := r.look(ctx, server, o, all[:1])
	if err != nil {
		return err
	}
	together, err := r.look(ctx, server, o, all)
	if err != nil {
		return err
	}
	beside := fmt.Sprintf(", %d databases in one process beside one", n.databases)
	r.shown(SectionDatabases, "memory at rest"+beside, together.rest.String(), alone.rest.String())
	r.shown(SectionDatabases, "memory of each further database at rest", fmt.Sprintf("%.2f MB resident", (together.rest.resident-alone.rest.resident)/float64(n.databases-1)), "-")
	r.shown(SectionDatabases, "memory after work on all"+beside, together.worked.String(), alone.worked.String())
	r.shown(SectionDatabases, "connections of a database at rest"+beside, fmt.Sprintf("%.1f, at most %d", together.connections, together.most), fmt.Sprintf("%.1f", alone.connections))
	r.shown(SectionDatabases, "connections of a database with a migration at work, at most"+beside, strconv.Itoa(together.working), strconv.Itoa(alone.working))
	if n.minute {
		l := line{
			section: SectionDatabases, what: "transactions of a database in a minute and a third of rest, at most" + beside, value: strconv.FormatInt(together.statements, 10),
			beside: strconv.FormatInt(alone.statements, 10), ratio: "-", target: "≤ 1", verdict: Reached,
		}
		if together.statements > 1 {
			l.verdict = Missed
		}
		r.lines = append(r.lines, l)
	}
	return nil
}

// aspect is how a process that looks after databases looks from outside.
type aspect struct {
	rest, worked  memory
	connections   float64 // of a database at rest, the mean
	most, working int     // connections of a database, at rest and at work
	statements    int64   // of a database in a minute of rest
}

func (r *Report) look(ctx context.Context, server *pgserver.Server, o Options, all []*database) (a aspect, err error) {
	root, err := pgx.Connect(ctx, server.URL("postgres"))
	if err != nil {
		return a, fmt.Errorf("connect: %w", err)
	}
	defer closeConn(ctx, root)
	f, err := startFleet(ctx, o.Program, all)
	if err != nil {
		return a, err
	}
	defer f.close()
	if o.scale().minute {
		if a.statements, err = quietMinute(ctx, root); err != nil {
			return a, err
		}
	}
	if a.rest, err = f.memory(ctx); err != nil {
		return a, err
	}
	if a.connections, a.most, err = sessions(ctx, root); err != nil {
		return a, err
	}
	if a.working, err = f.work(ctx, root, all); err != nil {
		return a, err
	}
	a.worked, err = f.memory(ctx)
	return a, err
}

// sessions counts the sessions of bbmd on each database.
func sessions(ctx context.Context, root *pgx.Conn) (mean float64, most int, err error) {
	err = root.QueryRow(ctx, `SELECT coalesce(avg(n), 0)::float8, coalesce(max(n), 0) FROM (SELECT count(*) AS n FROM pg_stat_activity
		WHERE datname LIKE 'fleet\_%' AND application_name LIKE 'bbmd%' GROUP BY datname) s`).Scan(&mean, &most)
	if err != nil {
		return 0, 0, fmt.Errorf("count sessions: %w", err)
	}
	return mean, most, nil
}

// untold is how long a session of the server may keep what it has counted to itself, and more.
const untold = 20 * time.Second

// quietMinute waits until what the start set off is over and told, and counts the transactions of the busiest
// database in the minute after, until they are told.
func quietMinute(ctx context.Context, root *pgx.Conn) (int64, error) {
	if err := pause(ctx, untold); err != nil {
		return 0, err
	}
	before, err := transactionsOf(ctx, root)
	if err != nil {
		return 0, err
	}
	if err := pause(ctx, time.Minute+untold); err != nil {
		return 0, err
	}
	after, err := transactionsOf(ctx, root)
	var most int64
	for name, n := range after {
		most = max(most, n-before[name])
	}
	return most, err
}

func transactionsOf(ctx context.Context, root *pgx.Conn) (map[string]int64, error) {
	rows, err := root.Query(ctx, `SELECT datname, xact_commit + xact_rollback FROM pg_stat_database WHERE datname LIKE 'fleet\_%'`)
	if err != nil {
		return nil, fmt.Errorf("count transactions: %w", err)
	}
	count := make(map[string]int64)
	var name string
	var n int64
	if _, err := pgx.ForEachRow(rows, []any{&name, &n}, func() error { count[name] = n; return nil }); err != nil {
		return nil, fmt.Errorf("count transactions: %w", err)
	}
	return count, nil
}

// work gives each database a migration, and returns how many sessions one of them had at most meanwhile.
func (f *fleet) work(ctx context.Context, root *pgx.Conn, all []*database) (most int, err error) {
	for _, d := range all {
		if _, err := d.admin.Exec(ctx, "SELECT bbm.enqueue('execute_sql', 'bench_rows', name => 'work ' || clock_timestamp(), arguments => $1, batch_size => 200, target_duration => '0')", updateSQL); err != nil {
			return 0, fmt.Errorf("enqueue: %w", err)
		}
	}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for _, d := range all {
		for over := false; !over; {
			if err := d.admin.QueryRow(ctx, "SELECT bool_and(status = 'finished') FROM bbm.batched_background_migrations").Scan(&over); err != nil {
				return 0, fmt.Errorf("look whether the work is done: %w", err)
			}
			_, now, err := sessions(ctx, root)
			if err != nil {
				return 0, err
			}
			most = max(most, now)
			select {
			case <-tick.C:
			case <-f.ended:
				return 0, fmt.Errorf("bbmd ended: %w: %s", f.err, f.output.String())
			case <-ctx.Done():
				return 0, context.Cause(ctx)
			}
		}
	}
	return most, nil
}

// measureMemory looks at a process on an empty control schema, and then on a full one.
func (r *Report) measureMemory(ctx context.Context, server *pgserver.Server, o Options) error {
	n := o.scale()
	if o.Program == "" {
		r.shown(SectionMemory, "left out: it needs a bbmd to run, -bbmd", "-", "-")
		return nil
	}
	d, err := newDatabase(ctx, server, "memory")
	if err != nil {
		return err
	}
	defer d.close(ctx)
	empty, err := memoryOn(ctx, o.Program, d)
	if err != nil {
		return err
	}
	c := &crowd{chain: &chain{database: d, finished: n.jobs}, extentOfQueue: extentOfQueue{queued: n.queue[1].queued}}
	if err := c.fill(ctx, 10); err != nil {
		return err
	}
	closeConn(ctx, c.conn)
	full, err := memoryOn(ctx, o.Program, d)
	if err != nil {
		return err
	}
	what := fmt.Sprintf(", %d migrations queued and %d jobs finished beside nothing", c.queued, n.jobs)
	r.flat(SectionMemory, "resident memory"+what, full.String(), empty.String(), full.resident/empty.resident, 0)
	return nil
}

// memoryOn runs bbmd on a database until it has looked at all there is, some times over.
func memoryOn(ctx context.Context, program string, d *database) (memory, error) {
	f, err := startFleet(ctx, program, []*database{d})
	if err != nil {
		return memory{}, err
	}
	defer f.close()
	for range 20 {
		if _, err := d.admin.Exec(ctx, "NOTIFY bbm_new"); err != nil {
			return memory{}, fmt.Errorf("wake bbmd: %w", err)
		}
		if err := pause(ctx, 200*time.Millisecond); err != nil {
			return memory{}, err
		}
	}
	select {
	case <-f.ended:
		return memory{}, errors.Join(errors.New("bbmd ended"), f.err)
	default:
	}
	return f.memory(ctx)
}
