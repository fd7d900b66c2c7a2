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

// everything returns a database with one of each kind of object, some of which only a superuser can make.
func everything(t *testing.T) *pgtest.Database {
	t.Helper()
	sql := read(t, "everything.sql")
	return pgtest.From(t, pgtest.Template{Hash: "catalog everything " + sql, Superuser: true, Install: func(ctx context.Context, conn *pgx.Conn) error {
		_, err := conn.Exec(ctx, sql)
		return err
	}}).Superuser(t)
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

// newRole makes a role that may log in, and goes away with the test's
// database. Its name is the server's alone.
func newRole(t *testing.T, db *pgtest.Database) string {
	t.Helper()
	role := db.Name + "_role"
	db.Superuser(t).Exec(t, "SET password_encryption = 'scram-sha-256'; CREATE ROLE "+role+" LOGIN PASSWORD 'secret'")
	t.Cleanup(func() {
		conn, err := pgx.Connect(context.WithoutCancel(t.Context()), db.Superuser(t).URL)
		require.NoError(t, err)
		defer conn.Close(context.WithoutCancel(t.Context())) //nolint:errcheck // the test is over
		_, err = conn.Exec(context.WithoutCancel(t.Context()), "REASSIGN OWNED BY "+role+" TO CURRENT_USER; DROP OWNED BY "+role+"; DROP ROLE "+role)
		require.NoError(t, err)
	})
	return role
}

// as connects to the database as a role of newRole.
func as(t *testing.T, db *pgtest.Database, role string) *pgx.Conn {
	t.Helper()
	config, err := pgx.ParseConfig(db.URL)
	require.NoError(t, err)
	config.User, config.Password = role, "secret"
	conn, err := pgx.ConnectConfig(t.Context(), config)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close(context.WithoutCancel(t.Context())) })
	return conn
}
