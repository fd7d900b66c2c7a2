package executor_test

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/registry"
	"github.com/bbmd-dev/bbmd/testing/pgtest"
)

// foreseen is a Work that leaves its statement to the commit, and notes what it has begun ahead.
type foreseen struct {
	mu      sync.Mutex
	begun   map[*foretold]string // what became of it: "" at first, then taken or dropped
	twice   []string             // what more became of it
	wrong   []registry.Batch     // was begun for another batch
	ignores bool                 // it does not ask for what it has begun
	fails   error                // of its Run, for the first batch, once
	panics  bool                 // where the next batch would be begun
}

type foretold struct {
	of    *foreseen
	batch registry.Batch
}

func (s *foretold) Drop() { s.of.became(s, "dropped") }

func (f *foreseen) became(s *foretold, what string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.begun[s] != "" {
		f.twice = append(f.twice, f.begun[s]+" and "+what)
	}
	f.begun[s] = what
}

func (f *foreseen) begin(_ context.Context, next registry.Batch) registry.Begun {
	if f.panics {
		panic("not today")
	}
	s := &foretold{of: f, batch: next}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.begun[s] = ""
	return s
}

func (f *foreseen) run(ctx context.Context, tx pgx.Tx, b registry.Batch) (registry.Result, error) {
	ahead := tx.(registry.Ahead) //nolint:errcheck,forcetypeassert // it is what is tested
	if !f.ignores {
		if s, ok := ahead.Begun().(*foretold); ok {
			f.became(s, "taken")
			f.note(s, b)
		}
	}
	if err := f.failure(); err != nil {
		return registry.Result{}, err
	}
	ahead.Ahead(f.begin)
	return leaving().Run(ctx, tx, b)
}

func (f *foreseen) note(s *foretold, b registry.Batch) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if s.batch.End != b.End || s.batch.After != b.After || s.batch.Attempt != b.Attempt {
		f.wrong = append(f.wrong, b)
	}
}

func (f *foreseen) failure() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	err := f.fails
	f.fails = nil
	return err
}

// settled counts what became of everything that was begun.
func (f *foreseen) settled(t *testing.T) map[string]int {
	t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	require.Empty(t, f.twice)
	require.Empty(t, f.wrong)
	count := map[string]int{}
	for _, what := range f.begun {
		count[what]++
	}
	require.Zero(t, count[""], "neither taken nor dropped")
	return count
}

func foresee(f *foreseen) *foreseen {
	f.begun = map[*foretold]string{}
	return f
}

func (f *foreseen) work() registry.Work { return registry.Work{Name: "w", Run: f.run} }

func TestTheNextBatchIsBegunAhead(t *testing.T) {
	t.Parallel()
	db := database(t)
	table(t, db, 200)
	f := foresee(&foreseen{})
	r := start(t, db, works(t, f.work()))
	enqueue(t, db, "w", "batch_size => 10")
	exactlyOnce(t, db)
	r.stop()
	// A block has two batches at least, the first of which knows the second.
	require.Positive(t, f.settled(t)["taken"])
}

func TestWhatWasBegunIsDroppedWhenTheBatchBeforeFails(t *testing.T) {
	t.Parallel()
	db := database(t)
	table(t, db, 200)
	db.Exec(t, "ALTER TABLE t ADD CONSTRAINT five CHECK (id <> 5 OR n = 0)")
	f := foresee(&foreseen{})
	r := start(t, db, works(t, f.work()))
	enqueue(t, db, "w", "batch_size => 10")
	db.WaitFor(t, "SELECT EXISTS (SELECT FROM "+jobsTable+" WHERE error_sqlstate = '23514')")
	db.Exec(t, "ALTER TABLE t DROP CONSTRAINT five")
	exactlyOnce(t, db)
	r.stop()
	require.Positive(t, f.settled(t)["dropped"])
}

func TestWhatWasBegunIsDroppedWhenNobodyAsksForIt(t *testing.T) {
	t.Parallel()
	db := database(t)
	table(t, db, 200)
	f := foresee(&foreseen{ignores: true})
	r := start(t, db, works(t, f.work()))
	enqueue(t, db, "w", "batch_size => 10")
	exactlyOnce(t, db)
	r.stop()
	require.Zero(t, f.settled(t)["taken"])
}

// A session that ends, and an owner with it, takes what was begun along.
func TestWhatWasBegunEndsWithItsSession(t *testing.T) {
	t.Parallel()
	db := database(t)
	table(t, db, 200)
	f := foresee(&foreseen{})
	gate := closeGate(t, db, 5)
	r := start(t, db, works(t, f.work()))
	enqueue(t, db, "w", "batch_size => 10")
	gate.reached()
	db.Superuser(t).Exec(t, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE 'bbmd/test/%'")
	db.WaitFor(t, "SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'advisory')")
	gate.open()
	exactlyOnce(t, db)
	r.stop()
	require.Positive(t, f.settled(t)["dropped"])
}

func TestAPanicAheadFailsNothing(t *testing.T) {
	t.Parallel()
	db := database(t)
	table(t, db, 200)
	f := foresee(&foreseen{panics: true})
	r := start(t, db, works(t, f.work()))
	enqueue(t, db, "w", "batch_size => 10")
	exactlyOnce(t, db)
	require.Equal(t, []int{1}, pgtest.Column[int](t, db, "SELECT DISTINCT attempts FROM "+jobsTable))
	r.logs("not today")
}

// A batch that its Work refuses is tried again by itself: what was begun after it is not its.
func TestABatchThatIsTriedAgainBeginsAnew(t *testing.T) {
	t.Parallel()
	db := database(t)
	table(t, db, 200)
	f := foresee(&foreseen{fails: errors.New("not yet")})
	r := start(t, db, works(t, f.work()))
	enqueue(t, db, "w", "batch_size => 10")
	exactlyOnce(t, db)
	r.stop()
	f.settled(t)
}
