package initialize_test

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/internal/catalog"
	"github.com/bbmd-dev/bbmd/internal/initialize"
	"github.com/bbmd-dev/bbmd/testing/pgtest"
)

// TestAlembicIsRunAgainAfterAKill kills the process after each revision that Alembic says it
// runs, with Alembic at work, and lets another one go on.
func TestAlembicIsRunAgainAfterAKill(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	require.NoError(t, err)
	for name, command := range alembics(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			alembic := needed(t, command)
			project := t.TempDir()
			require.NoError(t, os.CopyFS(project, os.DirFS("testdata/alembic")))
			migrations := filepath.Join(project, "migrations")
			whole := pgtest.NewEmpty(t)
			_, err := initialize.Apply(t.Context(), applying(whole.URL, migrations, alembic[0]))
			require.NoError(t, err)
			for revision := range revisions {
				t.Run("in revision "+strconv.Itoa(revision+1), func(t *testing.T) {
					t.Parallel()
					db := pgtest.NewEmpty(t)
					killed(t, exec.CommandContext(t.Context(), self), revision+1,
						fakeVariable+"=apply", "DATABASE_URL="+db.URL, "MIGRATIONS="+migrations, "ALEMBIC="+alembic[0])
					_, err := initialize.Apply(t.Context(), applying(db.URL, migrations, alembic[0]))
					require.NoError(t, err)
					require.Equal(t, []string{"f6a7b8c9d0e1"}, pgtest.Column[string](t, db, "SELECT version_num::text FROM alembic_version"))
					require.Empty(t, catalog.Compare(snapshot(t, whole), snapshot(t, db)).String())
				})
			}
		})
	}
}

// killed starts a process and kills it when Alembic says that it runs its n-th revision.
func killed(t *testing.T, process *exec.Cmd, n int, environment ...string) {
	t.Helper()
	process.Env = append(os.Environ(), environment...)
	out, err := process.StdoutPipe()
	require.NoError(t, err)
	process.Stderr = t.Output()
	require.NoError(t, process.Start())
	for lines := bufio.NewScanner(out); n > 0 && lines.Scan(); {
		if strings.Contains(lines.Text(), "Running upgrade") {
			n--
		}
	}
	require.Zero(t, n, "it has ended before")
	_ = process.Process.Kill() // after its last revision it may just have ended
	_ = process.Wait()
}

func snapshot(t *testing.T, db *pgtest.Database) catalog.Snapshot {
	t.Helper()
	s, err := catalog.Take(t.Context(), db.Conn(t), catalog.Options{Exclude: []string{"bbm"}})
	require.NoError(t, err)
	return s
}
