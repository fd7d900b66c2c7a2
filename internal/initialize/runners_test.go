package initialize_test

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/internal/history"
	"github.com/bbmd-dev/bbmd/internal/initialize"
	"github.com/bbmd-dev/bbmd/testing/pgtest"
)

// bringing is a runner at work on a database.
type bringing struct {
	*subject
	target initialize.Target
	said   *logbook

	mu   sync.Mutex
	told []string // of steps: "started 1", "done 1"
}

// bring prepares to bring a new database up, with the control schema in it.
func bring(t *testing.T) *bringing {
	t.Helper()
	b := &bringing{subject: about(t, pgtest.New(t)), said: &logbook{}}
	b.target = initialize.Target{
		Connect: func(ctx context.Context) (*pgx.Conn, error) {
			return connect(ctx, b.URL, initialize.ApplicationName("test"), "")
		},
		URL: b.URL,
		Log: b.said,
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("what was said:\n%s", b.said)
		}
	})
	return b
}

// files reads the history.
func (b *bringing) files(t *testing.T) history.Files {
	t.Helper()
	files, err := history.Open(b.spec.Migrations, b.spec.History, b.spec.HistoryOptions)
	require.NoError(t, err)
	return files
}

// run runs what is pending, as the version table says.
func (b *bringing) run(t *testing.T) error {
	t.Helper()
	return b.prepare(t)(t.Context())
}

// prepare looks what is pending, and returns what runs it.
func (b *bringing) prepare(t *testing.T) func(context.Context) error {
	t.Helper()
	files := b.files(t)
	records, err := history.Find(t.Context(), b.Conn(t), "bbm")
	require.NoError(t, err)
	if len(records) > 0 {
		b.target.Table = records[0]
	}
	pending := files.Compare(b.target.Table.Applied).Pending
	return func(ctx context.Context) error {
		return initialize.RunSteps(ctx, b.spec, b.target, files.Tool(), files, pending, initialize.Watch{
			Started: func(_ context.Context, s history.Step) error { b.tell("started " + s.Version); return nil },
			Done:    func(_ context.Context, s history.Step) error { b.tell("done " + s.Version); return nil },
		})
	}
}

func (b *bringing) tell(text string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.told = append(b.told, text)
}

func (b *bringing) heard() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.told)
}

// background runs something beside the test, which waits for its error.
func background(t *testing.T, ctx context.Context, run func(context.Context) error) <-chan error { //nolint:revive // t comes first in tests
	t.Helper()
	ended := make(chan error, 1)
	var running sync.WaitGroup
	running.Go(func() { ended <- run(ctx) })
	t.Cleanup(running.Wait)
	return ended
}

func wait(t *testing.T, ended <-chan error) error {
	t.Helper()
	select {
	case err := <-ended:
		return err
	case <-time.After(patience):
		require.FailNow(t, "it does not end")
		return nil
	}
}

// nobody asserts that no session of the runner's, or of its programs', is left.
func (b *bringing) nobody(t *testing.T) {
	t.Helper()
	require.Zero(t, pgtest.One[int](t, b.Database, "SELECT count(*)::int FROM pg_stat_activity WHERE datname = current_database() AND application_name = $1 AND state <> 'idle'",
		initialize.ApplicationName("test")))
}

// await waits until a query that returns one boolean returns true, for longer
// than [pgtest.Database.WaitFor]: a program may have to begin first, on a busy machine.
func (b *bringing) await(t *testing.T, sql string, args ...any) {
	t.Helper()
	conn := b.Conn(t)
	require.Eventually(t, func() bool {
		var reached bool
		return assert.NoError(t, conn.QueryRow(t.Context(), sql, args...).Scan(&reached)) && reached
	}, patience, 20*time.Millisecond, sql)
}

// blocked waits until a session of the runner's waits for a lock.
func (b *bringing) blocked(t *testing.T) {
	t.Helper()
	b.await(t, "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND application_name = $1 AND wait_event_type = 'Lock')",
		initialize.ApplicationName("test"))
}

// says waits until something was said.
func (b *bringing) says(t *testing.T, text string) {
	t.Helper()
	require.Eventually(t, func() bool { return strings.Contains(b.said.String(), text) }, patience, 5*time.Millisecond, text)
}

// failedStep asserts that err is that of a step.
func failedStep(t *testing.T, err error) *initialize.StepError {
	t.Helper()
	var step *initialize.StepError
	require.ErrorAs(t, err, &step)
	return step
}
