package main_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/testing/pgtest"
)

func TestStatusOfSeveralDatabases(t *testing.T) {
	t.Parallel()
	auth, billing := pgtest.New(t), pgtest.NewEmpty(t)
	auth.Exec(t, "CREATE TABLE t (id bigint PRIMARY KEY); SELECT bbm.enqueue('backfill_column', 'public.t', name => 'fill_t')")
	file := filepath.Join(t.TempDir(), "bbmd.yaml")
	content := fmt.Sprintf("databases: {auth: {url: %q}, billing: {url: %q}}", auth.URL, billing.URL)
	require.NoError(t, os.WriteFile(file, []byte(content), 0o600))

	r := bbmd(t, nil, "status", "--config", file)
	require.Equal(t, 0, r.code, r.err)
	require.Regexp(t, `(?s)^auth\n.*fill_t.*\nbilling\nno background migrations: the control schema is not there yet\n$`, r.out)
	r = bbmd(t, nil, "status", "--config", file, "--database", "auth")
	require.Equal(t, 0, r.code, r.err)
	require.NotContains(t, r.out, "billing")
	r = bbmd(t, nil, "status", "--config", file, "fill_t")
	require.Equal(t, 2, r.code)
	require.Contains(t, r.err, "choose with --database one of auth, billing")

	r = bbmd(t, nil, "init-control", "--config", file, "--database", "billing")
	require.Equal(t, 0, r.code, r.err)
	r = bbmd(t, nil, "status", "--config", file, "--output", "json")
	require.Equal(t, 0, r.code, r.err)
	var all []struct {
		Database   string
		Migrations []struct{ Name string }
	}
	require.NoError(t, json.Unmarshal([]byte(r.out), &all))
	require.Len(t, all, 2)
	require.Equal(t, "fill_t", all[0].Migrations[0].Name)
	require.Empty(t, all[1].Migrations)
	r = bbmd(t, nil, "status", "--config", file, "--runs")
	require.Equal(t, 0, r.code, r.err)
	require.Regexp(t, "(?s)^auth\nno runs yet.*\nbilling\nno runs yet", r.out)
}

func TestStatusOfAnUnreachableDatabaseHidesNoOther(t *testing.T) {
	t.Parallel()
	auth := pgtest.New(t)
	file := filepath.Join(t.TempDir(), "bbmd.yaml")
	content := fmt.Sprintf("databases: {auth: {url: %q}, away: {url: %q}}", auth.URL, "postgres://u@127.0.0.1:1/db")
	require.NoError(t, os.WriteFile(file, []byte(content), 0o600))

	r := bbmd(t, nil, "status", "--config", file)
	require.Equal(t, 69, r.code)
	require.Contains(t, r.out, "auth\nno migrations yet")
	require.Contains(t, r.err, "database away: ")
}
