package daemon_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	trace "go.opentelemetry.io/proto/otlp/trace/v1"

	"github.com/bbmd-dev/bbmd/daemon"
	"github.com/bbmd-dev/bbmd/internal/config"
	"github.com/bbmd-dev/bbmd/registry"
	"github.com/bbmd-dev/bbmd/testing/pgtest"
)

// TestFinalizeReportsAndTraces shows that what a daemon would have told of a migration is told, and sent before the end.
func TestFinalizeReportsAndTraces(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	rows(t, db, "t", 100)
	db.Exec(t, "ALTER TABLE t ADD CHECK (id <> 50 OR n = 0)")
	db.Exec(t, "SELECT bbm.enqueue('bump', 't', name => 't', max_attempts => 1)")
	dsn, posted := fakeSentry(t)
	url, received := fakeCollector(t)
	cfg := configFor(t, db)
	cfg.Sentry.DSN, cfg.Tracing.Endpoint = config.Secret(dsn), url
	works := registry.New()
	require.NoError(t, works.Register(bump()))
	_, err := daemon.Finalize(t.Context(), cfg, "default", "t", daemon.FinalizeOptions{Works: works, Version: "v7"})
	require.ErrorIs(t, err, daemon.ErrMigrationFailed)

	event, raw := next(t, posted)
	require.Equal(t, "background migration failed", event.Message)
	require.Equal(t, "t", event.Tags["migration"])
	require.Equal(t, "23514", event.Tags["sqlstate"])
	require.Contains(t, raw, "bbmd@v7")
	require.Empty(t, posted, "it was reported twice")
	for batches := 0; batches == 0; {
		var from *trace.ResourceSpans
		select {
		case from = <-received:
		case <-time.After(patience):
			require.FailNow(t, "no batch was traced")
		}
		require.Equal(t, "v7", attribute(from.GetResource().GetAttributes(), "service.version"))
		for _, scope := range from.GetScopeSpans() {
			for _, span := range scope.GetSpans() {
				if span.GetName() == "batch" {
					require.Equal(t, "t", attribute(span.GetAttributes(), "bbmd.migration"))
					batches++
				}
			}
		}
	}
}
