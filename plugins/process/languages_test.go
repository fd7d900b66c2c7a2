package process_test

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/examples/plugins/go/phones"
	"github.com/bbmd-dev/bbmd/plugins/process"
	"github.com/bbmd-dev/bbmd/plugins/sqlfile"
	"github.com/bbmd-dev/bbmd/registry"
	"github.com/bbmd-dev/bbmd/testing/migtest"
	"github.com/bbmd-dev/bbmd/testing/need"
	"github.com/bbmd-dev/bbmd/testing/pgtest"
)

const examples = "../../examples/plugins"

// phonesOf returns the examples' Work, written in some language.
func phonesOf(t *testing.T, language string) registry.Work {
	t.Helper()
	switch language {
	case "compiled":
		return phones.Normalize
	case "sql":
		content, err := os.ReadFile(filepath.Join(examples, "normalize_phone.sql"))
		require.NoError(t, err)
		file, err := sqlfile.Parse([]byte(strings.ReplaceAll(string(content), "public.users", "public.sql"))) // where the test has its rows
		require.NoError(t, err)
		return file.Work()
	}
	h := newHouse(t, nil)
	install(t, language, h.dir)
	return workOf(t, h.open()["phones_"+language], "normalize_phone_"+language)
}

// install puts an example into a directory of plugins, as its author would.
func install(t *testing.T, language, dir string) {
	t.Helper()
	from, to := filepath.Join(examples, language), filepath.Join(dir, language)
	require.NoError(t, os.Mkdir(to, 0o755))
	if language == "go" {
		// go test reuses results for as long as what a test looked at is the same.
		sources, err := filepath.Glob(filepath.Join(from, "*.go"))
		require.NoError(t, err)
		for _, source := range sources {
			copyFile(t, source, filepath.Join(t.TempDir(), "looked-at"))
		}
		build := exec.CommandContext(t.Context(), "go", "build", "-o", filepath.Join(to, "run"), "./"+from)
		output, err := build.CombinedOutput()
		require.NoError(t, err, string(output))
		copyFile(t, filepath.Join(from, process.ManifestName), filepath.Join(to, process.ManifestName))
		return
	}
	need.Program(t, map[string]string{"python": "python3", "node": "node"}[language])
	files, err := os.ReadDir(from)
	require.NoError(t, err)
	for _, file := range files {
		if !file.IsDir() {
			copyFile(t, filepath.Join(from, file.Name()), filepath.Join(to, file.Name()))
		}
	}
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	content, err := os.ReadFile(from)
	require.NoError(t, err)
	info, err := os.Stat(from)
	require.NoError(t, err)
	mode := fs.FileMode(0o644)
	if info.Mode()&0o100 != 0 {
		mode = 0o755
	}
	require.NoError(t, os.WriteFile(to, content, mode))
}

func languages() []string { return []string{"compiled", "go", "python", "node"} }

const phonesSetup = `
	CREATE TABLE users (id bigint PRIMARY KEY, phone text, phone_e164 text);
	INSERT INTO users SELECT i, (ARRAY['030 1234', ' +1 (555) 0', '0043/1', NULL, '"ſ\' || chr(1) || '١7'])[1 + i % 5] || i FROM generate_series(1, 30) i`

// TestLanguages tries the same Work in every language as the kit tries compiled ones.
func TestLanguages(t *testing.T) {
	t.Parallel()
	for _, language := range languages() {
		t.Run(language, func(t *testing.T) {
			t.Parallel()
			migtest.Run(t, migtest.Case{
				Work:      phonesOf(t, language),
				Table:     "users",
				Arguments: `{"country": "+49"}`,
				Refused:   []string{`{}`, `{"country": "49"}`},
				Setup:     phonesSetup,
				Want: migtest.All(
					migtest.Rows("SELECT phone, phone_e164 FROM users WHERE id IN (5, 6, 7, 8) ORDER BY id",
						"030 12345|+493012345", " +1 (555) 06|+155506", "0043/17|+4317", "NULL|NULL"),
					migtest.NoRows("SELECT id FROM users WHERE phone IS NOT NULL AND phone_e164 IS NULL")),
			})
		})
	}
}

// TestLanguagesLeaveEqualTables runs the same migration in every language, and as a
// file of SQL.
func TestLanguagesLeaveEqualTables(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	written := append(languages(), "sql")
	var works []registry.Work
	for _, language := range written {
		w := phonesOf(t, language)
		w.Name = "phones_" + language // as two of them have the same
		works = append(works, w)
	}
	execute(t, db, works...)
	for i, language := range written {
		db.Exec(t, "CREATE TABLE "+language+" (id bigint PRIMARY KEY, phone text, phone_e164 text)")
		db.Exec(t, "INSERT INTO "+language+` SELECT i, (ARRAY['030 12', ' +1 (55) ', '0043/', NULL, '"\', E'\t00 ', '+', ''])[1 + i % 8] || i FROM generate_series(1, 5000) i`)
		enqueue(t, db, works[i].Name, language, `{"country": "+49"}`, 500, 2)
	}
	want := ""
	for _, language := range written {
		finished(t, db, language)
		got := pgtest.One[string](t, db, "SELECT md5(string_agg(t::text, ' ' ORDER BY id)) FROM "+language+" t")
		if want == "" {
			want = got
		}
		require.Equal(t, want, got, language)
	}
}
