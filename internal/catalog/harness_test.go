package catalog_test

import (
	"context"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/internal/catalog"
	"github.com/bbmd-dev/bbmd/testing/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

var update = flag.Bool("update", false, "write the golden files anew")

// golden compares text with a file in testdata.
func golden(t *testing.T, name, text string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	}
	require.Empty(t, cmp.Diff(read(t, name), text), "go test -update writes it")
}

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name))
	require.NoError(t, err)
	return string(text)
}

// everything returns a database with one of each kind of object.
func everything(t *testing.T) *pgtest.Database {
	t.Helper()
	sql := read(t, "everything.sql")
	return pgtest.From(t, pgtest.Template{Hash: "catalog everything " + sql, Install: func(ctx context.Context, conn *pgx.Conn) error {
		_, err := conn.Exec(ctx, sql)
		return err
	}})
}

func take(t *testing.T, db catalog.DB, options catalog.Options) catalog.Snapshot {
	t.Helper()
	snapshot, err := catalog.Take(t.Context(), db, options)
	require.NoError(t, err)
	return snapshot
}

func exec(t *testing.T, db catalog.DB, sql string) {
	t.Helper()
	_, err := db.Exec(t.Context(), sql)
	require.NoError(t, err, sql)
}

// identities returns the objects as text.
func identities(objects []catalog.Object) []string {
	var names []string
	for _, o := range objects {
		names = append(names, o.String())
	}
	return names
}
