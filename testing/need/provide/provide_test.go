package main_test

import (
	"context"
	"errors"
	"io"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/testing/need"
	main "github.com/bbmd-dev/bbmd/testing/need/provide"
)

// machine is one with these programs, and nothing else.
func machine(t *testing.T, programs ...string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	for _, name := range programs {
		add(t, dir, name)
	}
	t.Setenv("PATH", dir)
	return dir
}

func add(t *testing.T, dir, program string) {
	t.Helper()
	need.Executable(t, filepath.Join(dir, program), []byte("#!/bin/sh\n"))
}

func tools(names ...string) (some []need.Tool) {
	for _, tool := range need.Tools() {
		for _, name := range names {
			if tool.Name == name {
				some = append(some, tool)
			}
		}
	}
	return some
}

func TestWhatWorksIsLeftAlone(t *testing.T) { //nolint:paralleltest // it sets the environment
	machine(t, "node", "psql")
	var out strings.Builder

	err := main.Provide(t.Context(), &out, tools("node", "psql"), func(context.Context, io.Writer, ...string) error {
		return errors.New("it installs something")
	})

	require.NoError(t, err)
	require.Equal(t, "programs of the tests: node psql\n", out.String())
}

func TestWhatIsMissingIsInstalled(t *testing.T) {
	t.Setenv("CI", "true")
	dir := machine(t, "node")
	var installed []string

	err := main.Provide(t.Context(), io.Discard, tools("node", "psql", "alembic"), func(_ context.Context, _ io.Writer, packages ...string) error {
		installed = packages
		add(t, dir, "psql")
		add(t, dir, "alembic")
		return nil
	})

	require.NoError(t, err)
	require.Equal(t, []string{"alembic", "postgresql-client", "python3-psycopg2"}, installed)
}

func TestWhatIsStillMissingIsListed(t *testing.T) { //nolint:paralleltest // it sets the environment
	machine(t, "psql")
	for ci, want := range map[string]string{"": "", "true": "CI is set"} {
		t.Setenv("CI", ci)
		var out strings.Builder

		err := main.Provide(t.Context(), &out, tools("node", "psql", "alembic"), func(context.Context, io.Writer, ...string) error {
			return errors.New("not possible here")
		})

		for _, part := range []string{"MISSING: alembic is not installed", "MISSING: node is not installed", "not possible here", "apt-get install alembic nodejs python3-psycopg2\n"} {
			require.Contains(t, out.String(), part)
		}
		require.NotContains(t, out.String(), "psql")
		if want == "" {
			require.NoError(t, err)
		} else {
			require.ErrorContains(t, err, want)
		}
	}
}
