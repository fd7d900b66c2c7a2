package executor_test

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/internal/executor"
	"github.com/bbmd-dev/bbmd/testing/pgtest"
)

// holding keeps whoever logs a message until it is let go.
type holding struct {
	slog.Handler

	message     string
	held, letGo chan struct{}
	once        *sync.Once
}

func (h holding) Handle(ctx context.Context, record slog.Record) error {
	if record.Message == h.message {
		h.once.Do(func() { close(h.held) })
		<-h.letGo
	}
	return nil
}

func (h holding) Enabled(context.Context, slog.Level) bool { return true }
func (h holding) WithAttrs([]slog.Attr) slog.Handler       { return h }
func (h holding) WithGroup(string) slog.Handler            { return h }

// TestALoopThatIsStuckSaysSo has it stand still in a scan, and where a worker has ended.
func TestALoopThatIsStuckSaysSo(t *testing.T) {
	t.Parallel()
	for message, asked := range map[string]string{"migration waits": "'unknown', 't'", "migration failed": "'bump', 'nowhere'"} {
		t.Run(message, func(t *testing.T) {
			t.Parallel()
			db := pgtest.New(t)
			db.Exec(t, plain)
			h := holding{message: message, held: make(chan struct{}), letGo: make(chan struct{}), once: new(sync.Once)}
			r := start(t, db, func(o *executor.Options) { o.Logger = slog.New(h) })
			db.Exec(t, "INSERT INTO bbm.batched_background_migrations (name, job_signature_name, table_name) VALUES ('m', "+asked+")")
			select {
			case <-h.held:
			case <-time.After(time.Minute):
				require.FailNow(t, "it is not said: "+message)
			}
			require.Positive(t, r.Stuck())
			close(h.letGo)
			require.Eventually(t, func() bool { return r.Stuck() == 0 }, time.Minute, time.Millisecond)
		})
	}
}
