package initialize_test

import (
	"context"
	"os"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/bbmd-dev/bbmd/internal/initialize"
	"github.com/bbmd-dev/bbmd/testing/pgtest"
)

// Variables by which a test lets this program be a process of its own that
// applies, so that it can be killed.
const (
	childURL        = "BBMD_TEST_APPLY_URL"
	childMigrations = "BBMD_TEST_APPLY_MIGRATIONS"
	childModels     = "BBMD_TEST_APPLY_MODELS"
	childRecreates  = "BBMD_TEST_APPLY_RECREATES"
)

func TestMain(m *testing.M) {
	if url := os.Getenv(childURL); url != "" {
		os.Exit(child(context.Background(), url)) //nolint:forbidigo // it stands for main
	}
	pgtest.Main(m)
}

func child(ctx context.Context, url string) int {
	s := initialize.Spec{
		Database: "test",
		Connect: func(ctx context.Context, application, database string) (*pgx.Conn, error) {
			return connect(ctx, url, application, database)
		},
		URL:         func() (string, error) { return url, nil },
		Migrations:  os.Getenv(childMigrations),
		Models:      initialize.Models{Path: os.Getenv(childModels)},
		Development: true,
		Limits:      initialize.Limits{LockTimeout: -1},
	}
	var err error
	if os.Getenv(childRecreates) != "" {
		_, err = initialize.Recreate(ctx, s, initialize.RecreateRequest{})
	} else {
		_, err = initialize.Apply(ctx, s)
	}
	if err != nil {
		_, _ = os.Stderr.WriteString(err.Error() + "\n")
		return 1
	}
	return 0
}
