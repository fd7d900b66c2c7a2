package main_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/testing/pgtest"
	main "github.com/bbmd-dev/bbmd/testing/pgtest/serve"
)

func TestServeEndsWithItsCommand(t *testing.T) {
	t.Setenv(pgtest.EnvServer, "")
	told := filepath.Join(t.TempDir(), "url")

	err := main.Serve(t.Context(), []string{"sh", "-c", `printf %s "$` + pgtest.EnvServer + `" > "$0"; exit 7`, told})

	var failed *exec.ExitError
	require.ErrorAs(t, err, &failed)
	require.Equal(t, 7, failed.ExitCode())
	url, err := os.ReadFile(told)
	require.NoError(t, err)
	require.NotEmpty(t, url)
	_, err = pgx.Connect(t.Context(), string(url))
	require.ErrorContains(t, err, "connection refused")
}

func TestServeUsesTheServerItIsGiven(t *testing.T) {
	t.Setenv(pgtest.EnvServer, "postgres://given")

	require.NoError(t, main.Serve(t.Context(), []string{"sh", "-c", `[ "$` + pgtest.EnvServer + `" = postgres://given ]`}))
}

func TestServeWantsACommand(t *testing.T) {
	t.Parallel()
	require.ErrorContains(t, main.Serve(t.Context(), nil), "usage")
}
