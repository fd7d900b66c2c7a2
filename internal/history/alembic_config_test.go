package history_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/internal/history"
)

// TestAlembicConfigurations opens a directory of a project in every layout.
func TestAlembicConfigurations(t *testing.T) {
	t.Parallel()
	a1, b2 := revisionFile("a1", "None"), revisionFile("b2", `"a1"`)
	for name, c := range map[string]struct {
		files map[string]string
		open  string
		opts  history.Options
		want  []string
	}{
		"revisions alone":      {files: map[string]string{"a.py": a1, "b.py": b2, "__init__.py": "", "note.txt": ""}, want: []string{"a1", "b2"}},
		"versions alone":       {files: map[string]string{"versions/a.py": a1, "versions/sub/b.py": "x", "env.py": ""}, want: []string{"a1"}},
		"alembic.ini":          {files: map[string]string{"alembic.ini": "[alembic]\nscript_location = db\n", "db/versions/a.py": a1}, want: []string{"a1"}},
		"the ini above":        {files: map[string]string{"svc/alembic.ini": "[alembic]\nscript_location = %(here)s/db\n", "svc/db/versions/a.py": a1}, open: "svc/db", want: []string{"a1"}},
		"the ini far above":    {files: map[string]string{"alembic.ini": "[alembic]\nscript_location: app/db\nversion_locations = app/db/one app/db/two", "app/db/one/a.py": a1, "app/db/two/b.py": b2}, open: "app/db", want: []string{"a1", "b2"}},
		"versions of an ini":   {files: map[string]string{"alembic.ini": "[alembic]\nscript_location = db\nversion_locations = db/one, db/two", "db/one/a.py": a1, "db/two/b.py": b2}, open: "db/two", want: []string{"a1", "b2"}},
		"another project's":    {files: map[string]string{"alembic.ini": "[alembic]\nscript_location = other\n", "db/versions/a.py": a1, "other/versions/z.py": "x"}, open: "db", want: []string{"a1"}},
		"a section":            {files: map[string]string{"alembic.ini": "[auth]\nscript_location = auth\n[billing]\nscript_location = billing\n", "auth/versions/a.py": a1, "billing/versions/b.py": "x"}, opts: history.Options{Section: "auth"}, want: []string{"a1"}},
		"a section by place":   {files: map[string]string{"alembic.ini": "[auth]\nscript_location = auth\n[billing]\nscript_location = billing\n", "auth/versions/a.py": a1, "billing/versions/b.py": "x"}, open: "auth", want: []string{"a1"}},
		"the only section":     {files: map[string]string{"alembic.ini": "[loggers]\nkeys = root\n[db]\nscript_location = db\n", "db/versions/a.py": a1}, want: []string{"a1"}},
		"pyproject":            {files: map[string]string{"pyproject.toml": "[tool.alembic]\nscript_location = '%(here)s/db'\nversion_locations = ['%(here)s/x', 'y']\nrecursive_version_locations = true\n", "x/deep/a.py": a1, "y/b.py": b2}, want: []string{"a1", "b2"}},
		"pyproject above":      {files: map[string]string{"pyproject.toml": "[project]\nname = 'x'\n[tool.alembic]\nscript_location = 'db'\n", "db/versions/a.py": a1}, open: "db", want: []string{"a1"}},
		"pyproject of another": {files: map[string]string{"pyproject.toml": "[tool.black]\n", "versions/a.py": a1}, want: []string{"a1"}},
		"a package":            {files: map[string]string{"alembic.ini": "[alembic]\nscript_location = my.app:db\nprepend_sys_path = lib\n", "lib/my/app/db/versions/a.py": a1}, want: []string{"a1"}},
		"a package in src":     {files: map[string]string{"alembic.ini": "[alembic]\nscript_location = app:db\n", "src/app/db/versions/a.py": a1}, want: []string{"a1"}},
		"separator newline":    {files: map[string]string{"alembic.ini": "[alembic]\nscript_location = db\npath_separator = newline\nversion_locations =\n  one one\n\n  two\n", "one one/a.py": a1, "two/b.py": b2}, want: []string{"a1", "b2"}},
		"separator space":      {files: map[string]string{"alembic.ini": "[alembic]\nscript_location = db\nversion_path_separator = space\nversion_locations = one  two\n", "one/a.py": a1, "two/b.py": b2}, want: []string{"a1", "b2"}},
		"the same place twice": {files: map[string]string{"alembic.ini": "[alembic]\nscript_location = db\nversion_locations = one one\n", "one/a.py": a1}, want: []string{"a1"}},
		"sourceless":           {files: map[string]string{"alembic.ini": "[alembic]\nscript_location = db\nsourceless = true\n", "db/versions/a.py": a1, "db/versions/a.pyc": "", "db/versions/__pycache__/a.cpython-311.pyc": ""}, want: []string{"a1"}},
		"a cache":              {files: map[string]string{"versions/a.py": a1, "versions/__pycache__/z.cpython-311.pyc": ""}, want: []string{"a1"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := writeFiles(t, c.files)

			files, err := history.Open(filepath.Join(dir.path, c.open), "", c.opts)

			require.NoError(t, err)
			require.Equal(t, c.want, versions(files.Steps()))
			for _, s := range files.Steps() {
				_, err := os.Stat(s.File)
				require.NoError(t, err, "the path of a step leads to its file")
			}
		})
	}
}

func TestAlembicConfigurationIsNamed(t *testing.T) {
	t.Parallel()
	dir := writeFiles(t, map[string]string{
		"conf/db.ini": "[main]\nscript_location = svc/db\n", "work/svc/db/versions/a.py": revisionFile("a1", "None"), "conf/empty.ini": "[alembic]\n", "both/alembic.ini": "[alembic]\nsqlalchemy.url = %(DB)s\n", "both/pyproject.toml": "[tool.alembic]\nscript_location='%(here)s/../work/svc/db'\n",
	})
	in := func(path string) string { return filepath.Join(dir.path, path) }

	files, err := history.Open(in("work"), history.Alembic, history.Options{Config: in("conf/db.ini"), Section: "main", WorkDir: in("work")})

	require.NoError(t, err)
	settings, ok := history.Settings(files)
	require.True(t, ok)
	require.Equal(t, history.AlembicSettings{Config: in("conf/db.ini"), Section: "main", ScriptLocation: in("work/svc/db"), VersionLocations: []string{in("work/svc/db/versions")}}, settings)
	files, err = history.Open(in("work"), history.Alembic, history.Options{Config: in("both/alembic.ini")})
	require.NoError(t, err, "the rest is in the pyproject.toml beside it")
	require.Len(t, files.Steps(), 1)
	for _, opts := range []history.Options{{Config: in("conf/empty.ini")}, {Config: in("conf/db.ini"), Section: "other"}} {
		_, err = history.Open(in("work"), history.Alembic, opts)
		require.ErrorContains(t, err, "is not there, or has no script_location")
	}
	_, err = history.Open(in("work"), history.Alembic, history.Options{Config: in("missing.ini")})
	require.ErrorContains(t, err, "no such file")
	goose, err := history.Open(writeFiles(t, map[string]string{"1_a.sql": upOnly}).path, history.Goose, noGo())
	require.NoError(t, err)
	_, ok = history.Settings(goose)
	require.False(t, ok)
}

func TestAlembicConfigurationRefuses(t *testing.T) {
	t.Parallel()
	a1 := revisionFile("a1", "None")
	for name, c := range map[string]struct {
		files map[string]string
		opts  history.Options
		want  string
	}{
		"several sections":          {files: map[string]string{"alembic.ini": "[a]\nscript_location = a\n[b]\nscript_location = b\n"}, want: "name one of a, b"},
		"a section that is missing": {files: map[string]string{"alembic.ini": "[alembic]\nscript_location = a\n"}, opts: history.Options{Section: "x"}, want: "section [x] is not there"},
		"a place that is missing":   {files: map[string]string{"alembic.ini": "[alembic]\nscript_location = a\nversion_locations = one two", "one/a.py": a1}, want: "two: no such file or directory; relative paths begin at"},
		"a separator":               {files: map[string]string{"alembic.ini": "[alembic]\nscript_location = a\npath_separator = tab\nversion_locations = one"}, want: `path separator "tab" is not space, newline`},
		"a package":                 {files: map[string]string{"alembic.ini": "[alembic]\nscript_location = a:b\n"}, want: "the package of a:b is not in"},
		"broken toml":               {files: map[string]string{"pyproject.toml": "[tool.alembic\n"}, want: "pyproject.toml: toml"},
		"broken ini":                {files: map[string]string{"alembic.ini": "script_location = x\n"}, want: "alembic.ini:1: an option stands before"},
		"interpolation":             {files: map[string]string{"alembic.ini": "[alembic]\nscript_location = %(there)s/x\n"}, want: "alembic.ini:2: %(there)s refers to an option that is not there"},
		"compiled beside":           {files: map[string]string{"alembic.ini": "[alembic]\nscript_location = .\nsourceless = true\n", "versions/a.pyc": ""}, want: "a.pyc is compiled and has no source"},
		"compiled in a cache":       {files: map[string]string{"alembic.ini": "[alembic]\nscript_location = .\nsourceless = true\n", "versions/__pycache__/a.cpython-311.pyc": ""}, want: "a.cpython-311.pyc is compiled and has no source"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			_, err := history.Open(writeFiles(t, c.files).path, history.Alembic, c.opts)

			require.ErrorContains(t, err, c.want)
		})
	}
}

func TestOpenRecognises(t *testing.T) {
	t.Parallel()
	a1 := revisionFile("a1", "None")
	for name, c := range map[string]struct {
		files map[string]string
		tool  history.Tool
		want  string
	}{
		"goose":             {files: map[string]string{"1_a.sql": upOnly}, tool: history.Goose},
		"goose beside more": {files: map[string]string{"1_a.sql": upOnly, "schema.sql": "SELECT 1;", "tools.py": "pass"}, tool: history.Goose},
		"alembic":           {files: map[string]string{"a.py": a1}, tool: history.Alembic},
		"sql of alembic's":  {files: map[string]string{"a.py": a1, "1_data.sql": "SELECT 1;"}, tool: history.Alembic},
		"both":              {files: map[string]string{"a.py": a1, "1_a.sql": upOnly}, want: "has files of two tools"},
		"goose and an ini":  {files: map[string]string{"alembic.ini": "[alembic]\nscript_location = x", "1_a.sql": upOnly}, want: "alembic.ini of Alembic: say which one it is"},
		"nothing":           {files: map[string]string{"README": "", "main.go": ""}, want: "it has README, main.go"},
		"empty":             {want: "it has nothing"},
		"golang-migrate":    {files: map[string]string{"1_a.up.sql": "SELECT 1;"}, want: "1_a.up.sql looks like a file of golang-migrate"},
		"dbmate":            {files: map[string]string{"20260105_a.sql": "-- migrate:up\nSELECT 1;"}, want: "looks like a file of dbmate"},
		"tern":              {files: map[string]string{"001_a.sql": "SELECT 1;\n---- create above / drop below ----\n"}, want: "looks like a file of tern"},
		"flyway":            {files: map[string]string{"V1_2__a.sql": "SELECT 1;"}, want: "looks like a file of Flyway"},
		"atlas":             {files: map[string]string{"1.sql": "SELECT 1;", "atlas.sum": "h1:"}, want: "looks like a file of Atlas"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			files, err := history.Open(writeFiles(t, c.files).path, "", noGo())

			if c.want != "" {
				require.ErrorContains(t, err, c.want)
				return
			}
			require.NoError(t, err)
			require.Equal(t, c.tool, files.Tool())
		})
	}
	_, err := history.Open(t.TempDir(), history.Flyway, history.Options{})
	require.ErrorContains(t, err, "the files of Flyway are not read here")
	_, err = history.Open(filepath.Join(t.TempDir(), "missing"), "", history.Options{})
	require.ErrorContains(t, err, "no such file")
}
