package history_test

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"path/filepath"
	"testing"

	"github.com/pressly/goose/v3"
	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/internal/history"
)

// noGo keeps what other tests may have registered out.
func noGo() history.Options { return history.Options{Go: []*goose.Migration{}} }

func openGoose(t *testing.T, files map[string]string) (history.Files, error) {
	t.Helper()
	return history.Open(writeFiles(t, files).path, history.Goose, noGo())
}

const (
	upOnly  = "-- +goose Up\nSELECT 1;\n"
	outside = "-- +goose NO TRANSACTION\n-- +goose Up\nCREATE INDEX CONCURRENTLY i ON t (a);\n"
)

func TestGooseSteps(t *testing.T) {
	t.Parallel()
	dir := writeFiles(t, map[string]string{
		"00010_index_of_t.sql": outside, "00002_second.sql": "-- bbmd:require finished fill a\n\n-- and more\n--bbmd:require finished fill_b\n" + upOnly, "20260105120000_by_time.sql": upOnly,
		"schema.sql": "no migration", "README.md": "-- +goose", "sub/00003_not_here.sql": upOnly, "00004_x_test.go": "package x", "helpers.go": "package x", "seed_1.sql": "",
	})

	files, err := history.Open(dir.path, history.Goose, noGo())

	require.NoError(t, err)
	sum := sha256.Sum256([]byte(upOnly))
	require.Equal(t, []history.Step{
		{Version: "2", Name: "second", File: filepath.Join(dir.path, "00002_second.sql"), Transactional: true, Requires: []string{"fill a", "fill_b"}, Checksum: files.Steps()[0].Checksum},
		{Version: "10", Name: "index_of_t", File: filepath.Join(dir.path, "00010_index_of_t.sql"), Checksum: files.Steps()[1].Checksum},
		{Version: "20260105120000", Name: "by_time", File: filepath.Join(dir.path, "20260105120000_by_time.sql"), Transactional: true, Checksum: hex.EncodeToString(sum[:])},
	}, files.Steps())
	require.Equal(t, []string{"20260105120000"}, files.Heads())
	require.Equal(t, dir.path, files.Dir())
	until, err := files.Until([]string{"10"})
	require.NoError(t, err)
	require.Equal(t, []string{"2", "10"}, versions(until))
	none, err := files.Until(nil)
	require.NoError(t, err)
	require.Empty(t, none)
	_, err = files.Until([]string{"2", "10"})
	require.ErrorContains(t, err, "keeps one version")

	var theirs []string
	provider, err := goose.NewProvider(goose.DialectPostgres, new(sql.DB), dir.fs, goose.WithDisableGlobalRegistry(true))
	require.NoError(t, err)
	for _, s := range provider.ListSources() {
		theirs = append(theirs, filepath.Join(dir.path, s.Path))
	}
	var ours []string
	for _, s := range files.Steps() {
		ours = append(ours, s.File)
	}
	require.Equal(t, theirs, ours, "goose collects the same files")
}

func TestGooseRefuses(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		files map[string]string
		want  []string
	}{
		"nothing":             {map[string]string{"README": ""}, []string{"has no migration of goose's"}},
		"a version twice":     {map[string]string{"1_a.sql": upOnly, "001_b.sql": upOnly}, []string{"001_b.sql", "1_a.sql", "have the same version 1"}},
		"sql and go":          {map[string]string{"1_a.sql": upOnly, "1_a.go": "package x"}, []string{"have the same version 1"}},
		"a dash":              {map[string]string{"1_a.sql": upOnly, "002-b.sql": upOnly}, []string{"002-b.sql: goose would pass over it"}},
		"version 0":           {map[string]string{"0_a.sql": upOnly, "1_a.sql": upOnly}, []string{"0_a.sql: goose would pass over it"}},
		"not compiled in":     {map[string]string{"1_a.go": "package x", "2_b.go": "package x"}, []string{"1_a.go is not compiled in", "2_b.go is not compiled in"}},
		"all faults at once":  {map[string]string{"1_a.sql": "SELECT 1;\n", "2_b.sql": "-- +goose Up\nSELECT 1"}, []string{"1_a.sql:1: this stands before -- +goose Up", "2_b.sql:2: the statement that begins here has no semicolon"}},
		"golang-migrate's":    {map[string]string{"1_a.up.sql": "SELECT 1;", "1_a.down.sql": "SELECT 1;"}, []string{"1_a.down.sql:1: this stands before"}},
		"misspelt":            {map[string]string{"1_a.sql": "-- bbmd:requires finished x\n" + upOnly}, []string{"1_a.sql:1: bbmd:requires finished x is not understood"}},
		"require in the body": {map[string]string{"1_a.sql": upOnly + "-- bbmd:require finished x\n"}, []string{"1_a.sql:3: bbmd:require stands below the header"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			_, err := openGoose(t, c.files)

			for _, want := range c.want {
				require.ErrorContains(t, err, want)
			}
		})
	}
	_, err := history.Open(filepath.Join(t.TempDir(), "missing"), history.Goose, noGo())
	require.ErrorContains(t, err, "no such file")
}

func TestGooseCompares(t *testing.T) {
	t.Parallel()
	files, err := openGoose(t, map[string]string{"1_a.sql": upOnly, "2_b.sql": upOnly, "10_c.sql": upOnly})
	require.NoError(t, err)
	for name, c := range map[string]struct {
		applied, pending, unknown, late []string
		ahead, upToDate                 bool
	}{
		"nothing":          {pending: []string{"1", "2", "10"}},
		"some":             {applied: []string{"1"}, pending: []string{"2", "10"}},
		"all":              {applied: []string{"1", "2", "10"}, upToDate: true},
		"out of order":     {applied: []string{"1", "10"}, pending: []string{"2"}, late: []string{"2"}},
		"newer":            {applied: []string{"1", "2", "10", "11", "12"}, unknown: []string{"11", "12"}, ahead: true},
		"newer and older":  {applied: []string{"1", "2", "5", "10", "11"}, unknown: []string{"5", "11"}},
		"newer and behind": {applied: []string{"1", "2", "11"}, unknown: []string{"11"}, pending: []string{"10"}, late: []string{"10"}},
		"lost":             {applied: []string{"1", "3"}, unknown: []string{"3"}, pending: []string{"2", "10"}, late: []string{"2"}},
	} {
		got := files.Compare(c.applied)

		require.Equal(t, c.pending, versions(got.Pending), name)
		require.Equal(t, c.unknown, got.Unknown, name)
		require.Equal(t, c.late, versions(got.Late), name)
		require.Equal(t, c.ahead, got.Ahead, name)
		require.Equal(t, c.upToDate, got.UpToDate(), name)
	}
}

func TestGooseResolves(t *testing.T) {
	t.Parallel()
	files, err := openGoose(t, map[string]string{"00001_a.sql": upOnly, "10_c.sql": upOnly, "20260105120000_d.sql": upOnly, "20260106120000_e.sql": upOnly})
	require.NoError(t, err)
	for typed, want := range map[string][]string{
		"head": {"20260106120000"}, "heads": {"20260106120000"}, "base": nil, "0": nil, "1": {"1"}, "00001": {"1"}, "10": {"10"}, "c": {"10"}, "10_c.sql": {"10"}, "20260105": {"20260105120000"}, "00001_": {"1"},
	} {
		got, err := files.Resolve(typed)
		require.NoError(t, err, typed)
		require.Equal(t, want, got, typed)
	}
	for typed, want := range map[string]string{
		"2026": "may be one of several: 20260105120000 d, 20260106120000 e", "2": "is not in the files, which have 1 a, 10 c, 20260105120000 d, 20260106120000 e", "": "is not in the files", "-1": "is not in the files", "nothing": "is not in the files",
	} {
		_, err := files.Resolve(typed)
		require.ErrorContains(t, err, want, typed)
	}
}

func TestGooseGoMigrations(t *testing.T) {
	t.Parallel()
	inTx := &goose.GoFunc{RunTx: func(context.Context, *sql.Tx) error { return nil }}
	noTx := &goose.GoFunc{RunDB: func(context.Context, *sql.DB) error { return nil }}
	dir := writeFiles(t, map[string]string{"1_a.sql": upOnly, "2_b.go": "// bbmd:require finished fill_b\n\npackage x\n"})

	files, err := history.Open(dir.path, history.Goose, history.Options{Go: []*goose.Migration{goose.NewGoMigration(3, noTx, nil), goose.NewGoMigration(2, inTx, nil)}})

	require.NoError(t, err)
	steps := files.Steps()
	require.Equal(t, []string{"1", "2", "3"}, versions(steps))
	require.Equal(t, history.Step{Version: "2", Name: "b", File: filepath.Join(dir.path, "2_b.go"), Transactional: true, Requires: []string{"fill_b"}, Checksum: steps[1].Checksum}, steps[1])
	require.Len(t, steps[1].Checksum, 64)
	require.Equal(t, history.Step{Version: "3"}, steps[2], "compiled in without a file")

	_, err = history.Open(dir.path, history.Goose, history.Options{Go: []*goose.Migration{goose.NewGoMigration(1, inTx, nil)}})
	require.ErrorContains(t, err, "1_a.sql and a Go migration have the same version 1")
	require.ErrorContains(t, err, "2_b.go is not compiled in")
}

// TestGooseRegistry changes what the whole process has registered with goose.
func TestGooseRegistry(t *testing.T) { //nolint:paralleltest // the registry is goose's, and global
	t.Cleanup(goose.ResetGlobalMigrations)
	dir := writeFiles(t, map[string]string{"1_a.sql": upOnly})
	files, err := history.Open(dir.path, "", history.Options{})
	require.NoError(t, err)
	require.Equal(t, []string{"1"}, versions(files.Steps()), "none is registered")
	goose.AddNamedMigrationContext("somewhere/00007_in_go.go", nil, nil)

	files, err = history.Open(dir.path, "", history.Options{})

	require.NoError(t, err)
	require.Equal(t, history.Step{Version: "7", Name: "in_go", File: "somewhere/00007_in_go.go"}, files.Steps()[1])
	files, err = history.Open(dir.path, history.Goose, noGo())
	require.NoError(t, err)
	require.Len(t, files.Steps(), 1, "a list of its own leaves the registry out")
}
