package process_test

import (
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/plugins/process"
	"github.com/bbmd-dev/bbmd/testing/pgtest"
)

// conversation keeps the types of messages in their order.
type conversation struct {
	t       *testing.T
	mu      sync.Mutex
	told    []string
	grown   chan struct{}
	trace   func(n int, message string, kill func()) // is told as well; n counts messages from 0
	endings []func()                                 // end the program that a task was sent to, by task
}

func listen(t *testing.T) *conversation {
	t.Helper()
	return &conversation{t: t, grown: make(chan struct{}, 1), trace: func(int, string, func()) {}}
}

func (c *conversation) hear(message string, kill func()) {
	c.mu.Lock()
	n := len(c.told)
	c.told = append(c.told, message)
	if message == "batch" {
		c.endings = append(c.endings, kill)
	}
	c.mu.Unlock()
	c.trace(n, message, kill)
	select {
	case c.grown <- struct{}{}:
	default:
	}
}

func (c *conversation) options(o *process.Options) { o.Trace = c.hear }

func (c *conversation) count(message string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return strings.Count(strings.Join(c.told, " ")+" ", message+" ")
}

// wait waits until a message was said so often.
func (c *conversation) wait(message string, times int) {
	c.t.Helper()
	require.Eventually(c.t, func() bool { return c.count(message) >= times }, patience, patience/60000, "%s %d times", message, times)
}

// ending returns what ends the program that has the task of that number, from 0.
func (c *conversation) ending(task int) func() {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.endings[task]
}

// gated makes the first of the batches of table t wait in the server.
func gated(t *testing.T, db *pgtest.Database) (open func()) {
	t.Helper()
	db.Exec(t, `CREATE FUNCTION gate() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
		PERFORM pg_advisory_xact_lock_shared(7); RETURN new; END $$;
		CREATE TRIGGER gate BEFORE UPDATE ON t FOR EACH ROW WHEN (old.id = 5) EXECUTE FUNCTION gate()`)
	conn := db.Conn(t)
	_, err := conn.Exec(t.Context(), "SELECT pg_advisory_lock(7)")
	require.NoError(t, err)
	return func() {
		_, err := conn.Exec(t.Context(), "SELECT pg_advisory_unlock(7)")
		require.NoError(t, err)
	}
}

// TestAskedAhead has the answer for the second batch while the server is at the first. A
// block has two batches at least, so that the first knows what comes next.
func TestAskedAhead(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	c := listen(t)
	h := newHouse(t, c.options)
	h.write("child", own(t, "child", "good", nil, manifest{"name": "bump_sql"}))
	table(t, db, "t", 100)
	open := gated(t, db)
	execute(t, db, h.open()["child"].Works()...)
	enqueue(t, db, "bump_sql", "t", "{}", 10, 1)
	c.wait("done", 2)
	require.Zero(t, pgtest.One[int](t, db, "SELECT count(*) FROM bbm.batched_background_migration_jobs WHERE status = 'finished'"))
	open()
	processedOnce(t, db)
	require.Equal(t, 10, c.count("batch"), "nothing was asked twice")
	require.Equal(t, []int{1}, pgtest.Column[int](t, db, "SELECT DISTINCT attempts FROM bbm.batched_background_migration_jobs"))
	require.EqualValues(t, 100, pgtest.One[int64](t, db, "SELECT sum(rows_affected) FROM bbm.batched_background_migration_jobs"))
}

func processedOnce(t *testing.T, db *pgtest.Database) {
	t.Helper()
	finished(t, db, "t")
	require.Equal(t, []int{1}, pgtest.Column[int](t, db, "SELECT DISTINCT n FROM t"))
}

// failedAhead checks that the second batch has failed, why, and that it was the only one.
func failedAhead(t *testing.T, db *pgtest.Database, why string) {
	t.Helper()
	const jobs = " FROM bbm.batched_background_migration_jobs WHERE min_value"
	if why == "" {
		require.Zero(t, pgtest.One[int](t, db, "SELECT count(error_message)"+jobs+" IS NOT NULL"))
		return
	}
	require.Contains(t, pgtest.One[string](t, db, "SELECT coalesce(error_message, '')"+jobs+" = '11'"), why)
	require.Zero(t, pgtest.One[int](t, db, "SELECT count(error_message)"+jobs+" <> '11'"))
	require.Equal(t, []int{1}, pgtest.Column[int](t, db, "SELECT DISTINCT attempts"+jobs+" <> '11'"))
}

// TestAheadFailsItsBatchAlone lets a program do what programs do when it is asked ahead, for the second batch.
func TestAheadFailsItsBatchAlone(t *testing.T) {
	t.Parallel()
	for act, why := range map[string]string{
		"garbage": `it begins "Traceback`, "exits": "ended in the middle of a task: exit status 3", "wrong": "wrong id",
		"misplaced": "does not belong there", "gives up": "no such country", "denies": "division by zero", "commits": "COMMIT is not run",
		"asks": "", // it is answered in the batch's own transaction
	} {
		t.Run(act, func(t *testing.T) {
			t.Parallel()
			db := pgtest.New(t)
			c := listen(t)
			h := newHouse(t, c.options)
			table(t, db, "t", 40)
			open := gated(t, db)
			execute(t, db, h.child("ahead", act, "11").Works()...)
			enqueue(t, db, "bump", "t", "{}", 10, 1)
			c.wait("batch", 2)
			open()
			processedOnce(t, db)
			failedAhead(t, db, why)
		})
	}
}

// TestAheadThatHangs lets the first batch be committed while the program hangs for the second.
func TestAheadThatHangs(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	c := listen(t)
	h := newHouse(t, c.options)
	table(t, db, "t", 40)
	open := gated(t, db)
	execute(t, db, h.child("ahead", "hangs", "11").Works()...)
	enqueue(t, db, "bump", "t", "{}", 10, 1)
	c.wait("batch", 2)
	open()
	db.WaitFor(t, "SELECT status = 'finished' FROM bbm.batched_background_migration_jobs WHERE min_value = '1'")
	c.ending(1)()
	processedOnce(t, db)
	failedAhead(t, db, "ended in the middle of a task")
}

// TestDroppedAhead takes back what was asked ahead of a batch that fails: the program agrees,
// and none has to be killed.
func TestDroppedAhead(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	c := listen(t)
	h := newHouse(t, func(o *process.Options) {
		c.options(o)
		o.CancelGrace = patience
	})
	table(t, db, "t", 40)
	db.Exec(t, "ALTER TABLE t ADD CONSTRAINT five CHECK (id <> 5 OR n = 0)")
	execute(t, db, h.child("ahead", "asks", "11").Works()...)
	enqueue(t, db, "bump", "t", "{}", 10, 1)
	c.wait("cancel", 1)
	c.wait("fail", 1)
	db.Exec(t, "ALTER TABLE t DROP CONSTRAINT five")
	processedOnce(t, db)
	require.Zero(t, h.crashes.Load())
}

// TestKilledAhead kills a program at every fifth message, ahead or not.
func TestKilledAhead(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	c := listen(t)
	c.trace = func(n int, message string, kill func()) {
		if n%5 == 4 && n < 60 && slices.Contains([]string{"batch", "done"}, message) {
			kill()
		}
	}
	h := newHouse(t, c.options)
	m := own(t, "child", "good", nil, manifest{"name": "bump_sql"})
	m["max_procs"] = 2 // for three workers
	h.write("child", m)
	execute(t, db, h.open()["child"].Works()...)
	table(t, db, "t", 400)
	enqueue(t, db, "bump_sql", "t", "{}", 10, 3)
	processedOnce(t, db)
	require.Greater(t, h.starts.Load(), int64(2), "programs were killed")
}
