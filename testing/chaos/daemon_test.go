package chaos_test

import (
	"context"
	"fmt"
	"os"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/daemon"
	"github.com/bbmd-dev/bbmd/internal/logging"
	_ "github.com/bbmd-dev/bbmd/migrations"
	"github.com/bbmd-dev/bbmd/registry"
	"github.com/bbmd-dev/bbmd/testing/chaos"
)

// asDaemon is the environment variable with which this test's own program is a
// daemon that embeds bbmd.
const asDaemon = "BBMD_TEST_CHAOS_DAEMON"

// self is the program that embeds bbmd.
func self(t *testing.T) chaos.Program {
	t.Helper()
	path, err := os.Executable()
	require.NoError(t, err)
	return chaos.Program{Args: []string{path}, Env: []string{asDaemon + "=1"}}
}

// runDaemon is `bbmd run` with a Work of its own, and returns the exit code.
func runDaemon() int {
	if err := embed(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func embed(ctx context.Context) error {
	cfg, err := daemon.LoadConfig(daemon.Sources{Search: []string{}})
	if err != nil {
		return err
	}
	works := registry.Default() // those that ship with bbmd
	if err := works.Register(registry.Work{Name: chaos.GoWork, Run: count}); err != nil {
		return err
	}
	logger, level := logging.New(os.Stderr, cfg.Log)
	d, err := daemon.New(cfg, daemon.WithLogger(logger), daemon.WithLevel(level), daemon.WithWorks(works), daemon.AsProcess()) //nolint:contextcheck // what its dashboard begins lives as long as the daemon
	if err != nil {
		return err
	}
	return d.Run(ctx)
}

// count is not idempotent, and takes several round trips.
func count(ctx context.Context, tx pgx.Tx, b registry.Batch) (registry.Result, error) {
	rows, err := tx.Query(ctx, "SELECT id::text FROM "+b.Table+" WHERE "+b.Where()+" FOR UPDATE", b.Args()...)
	if err != nil {
		return registry.Result{}, err
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return registry.Result{}, err
	}
	tag, err := tx.Exec(ctx, "UPDATE "+b.Table+" SET n = n + 1 WHERE "+b.Where(), b.Args()...)
	if err == nil && tag.RowsAffected() != int64(len(ids)) {
		return registry.Result{}, fmt.Errorf("%d rows were locked and %d updated", len(ids), tag.RowsAffected())
	}
	return registry.Affected(tag), err
}
