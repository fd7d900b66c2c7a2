package sqlfile_test

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/plugins/sqlfile"
	"github.com/bbmd-dev/bbmd/registry"
)

var update = flag.Bool("update", false, "write the golden files anew")

// example is the file that the documentation shows.
func example(tb testing.TB) string {
	tb.Helper()
	content, err := os.ReadFile(filepath.Join("..", "..", "examples", "plugins", "normalize_email.sql"))
	require.NoError(tb, err)
	return string(content)
}

func TestParse(t *testing.T) {
	t.Parallel()
	file, err := sqlfile.Parse([]byte(example(t)))
	require.NoError(t, err)
	require.Equal(t, "normalize_email", file.Name)
	require.Equal(t, 1, file.Version)
	require.Equal(t, "public.users", file.Table)
	require.Equal(t, []sqlfile.Parameter{{Name: "except", Type: "text", Default: json.RawMessage(`"example.com"`)}}, file.Parameters)
	work := file.Work()
	require.NotNil(t, work.SQL, "one statement is the faster form")
	require.Nil(t, work.Run)
	require.NotNil(t, work.Verify)
	require.NoError(t, registry.New().Register(work))
}

func TestParseAccepts(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		text string
		want []string
	}{
		"everything that quotes": {
			"UPDATE t SET a = ':p;' || E'\\':p' || $$:p;$$ || $x$;:p$x$ || :p /* :p; /* :p */ */ || \"c:p\" -- :p;\n WHERE :range;",
			[]string{"UPDATE t SET a = ':p;' || E'\\':p' || $$:p;$$ || $x$;:p$x$ || ('v'::text) /* :p; /* :p */ */ || \"c:p\" -- :p;\n WHERE :range"},
		},
		"casts and slices": {
			"UPDATE t SET a = b::text || c[1:2]::text || :p::text || d[(:p)::int] WHERE id BETWEEN :start AND :end",
			[]string{"UPDATE t SET a = b::text || c[1:2]::text || ('v'::text)::text || d[(('v'::text))::int] WHERE id BETWEEN :start AND :end"},
		},
		"several": {
			"-- first\nINSERT INTO log SELECT id FROM t WHERE :range;;\n/* second */ DELETE FROM t WHERE :range(t);\n-- last",
			[]string{"INSERT INTO log SELECT id FROM t WHERE :range", "DELETE FROM t WHERE :range(t)"},
		},
		"windows": {"UPDATE t\r\n SET a = :p\r\n WHERE :range;\r\n", []string{"UPDATE t\r\n SET a = ('v'::text)\r\n WHERE :range"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			head := "\uFEFF-- a remark\n  --bbmd:work a\r\n-- bbmd: table t\n\n-- bbmd: param p text\n-- bbmd: section run -- below\n"
			file, err := sqlfile.Parse([]byte(head + test.text))
			require.NoError(t, err)
			filled, err := file.Filled(`{"p": "v"}`)
			require.NoError(t, err)
			require.Equal(t, test.want, filled)
			require.Equal(t, len(filled) > 1, file.Work().Run != nil)
		})
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	paths, err := filepath.Glob(filepath.Join("testdata", "errors", "*.sql"))
	require.NoError(t, err)
	require.NotEmpty(t, paths)
	var all strings.Builder
	for _, path := range paths {
		content, err := os.ReadFile(path)
		require.NoError(t, err)
		_, err = sqlfile.Parse(content)
		require.Error(t, err, path)
		all.WriteString(filepath.Base(path) + ":" + err.Error() + "\n")
	}
	golden := filepath.Join("testdata", "errors.golden")
	if *update {
		require.NoError(t, os.WriteFile(golden, []byte(all.String()), 0o600))
	}
	want, err := os.ReadFile(golden)
	require.NoError(t, err)
	require.Equal(t, string(want), all.String(), "if it is better now, run the test with -update")
}

func TestArguments(t *testing.T) {
	t.Parallel()
	file, err := sqlfile.Parse([]byte(`-- bbmd: work a
-- bbmd: table t
-- bbmd: param required text
-- bbmd: param small smallint = 1
-- bbmd: param day date = "2026-01-31"
-- bbmd: param list bigint[] = [1, 2]
-- bbmd: param any jsonb = {"a": [null]}
-- bbmd: param exact numeric = 1.10
-- bbmd: section run
UPDATE t SET a = f(:required, :small, :day, :list, :any, :exact) WHERE :range;
`))
	require.NoError(t, err)
	work := file.Work()
	for arguments, want := range map[string]string{
		`{"required": "it's"}`:                                        `f(('it''s'::text), ('1'::smallint), ('2026-01-31'::date), (ARRAY['1', '2']::bigint[]), ('{"a":[null]}'::jsonb), ('1.10'::numeric))`,
		`{"required": "", "small": null}`:                             `f((''::text), ('1'::smallint)`,
		`{"required": "a\\' OR true", "small": -5, "exact": "1e400"}`: `f(( E'a\\'' OR true'::text), ('-5'::smallint), ('2026-01-31'::date), (ARRAY['1', '2']::bigint[]), ('{"a":[null]}'::jsonb), ('1e400'::numeric))`,
		`{"required": "x", "list": [], "any": "y"}`:                   `(ARRAY[]::bigint[]), ('"y"'::jsonb)`,
	} {
		require.NoError(t, work.ValidateArguments([]byte(arguments)), arguments)
		filled, err := file.Filled(arguments)
		require.NoError(t, err)
		require.Contains(t, filled[0], want, arguments)
	}
	for arguments, want := range map[string]string{
		``:                                     `arguments of a: argument "required" is missing: it is a text, and has no default`,
		`{"required": null}`:                   `argument "required" is missing`,
		`{"required": 1}`:                      `argument "required" is a number and has to be a string`,
		`{"required": "a\u0000"}`:              `argument "required" has a zero byte`,
		`{"required": "a", "small": 40000}`:    `argument "small" is a number 40000`,
		`{"required": "a", "day": "today"}`:    `argument "day" is not a date as 2026-01-31`,
		`{"required": "a", "list": [1, null]}`: `argument "list" has an element that is not a whole number`,
		`{"required": "a", "list": 1}`:         `argument "list" is a number`,
		`{"required": "a", "exact": "x"}`:      `invalid number literal`,
		`{"required": "a", "smal": 1}`:         `unknown argument "smal", did you mean "small"?`,
		`{"required": "a", "P0": "b"}`:         `unknown argument "P0"`,
	} {
		require.ErrorContains(t, work.ValidateArguments([]byte(arguments)), want, arguments)
	}
}

func FuzzParse(f *testing.F) {
	paths, err := filepath.Glob(filepath.Join("testdata", "errors", "*.sql"))
	require.NoError(f, err)
	for _, path := range paths {
		content, err := os.ReadFile(path)
		require.NoError(f, err)
		f.Add(string(content), "x")
	}
	f.Add(example(f), `a'\`)
	f.Add("-- bbmd: work a\n-- bbmd: table t\n-- bbmd: param p text\n-- bbmd: section run\nSELECT $$:p$$,a[:p:b],:p::text WHERE :range(t);SELECT :p,:start,:end", "';--")
	f.Fuzz(func(t *testing.T, text, value string) {
		file, err := sqlfile.Parse([]byte(text))
		if err != nil {
			require.NotEmpty(t, err.Error())
			return
		}
		given := map[string]string{}
		for _, p := range file.Parameters {
			if p.Type == "text" {
				given[p.Name] = value
			}
		}
		arguments, err := json.Marshal(given)
		require.NoError(t, err)
		filled, err := file.Filled(string(arguments))
		if err != nil {
			return
		}
		for i, sketch := range file.Sketched() {
			before, err := registry.ParseStatement(sketch)
			require.NoError(t, err)
			after, err := registry.ParseStatement(filled[i])
			require.NoError(t, err, "a value breaks out: %s", filled[i])
			require.Equal(t, before.UsesStart(), after.UsesStart())
			one, err := registry.Placeholders(sketch)
			require.NoError(t, err)
			other, err := registry.Placeholders(filled[i])
			require.NoError(t, err)
			require.Len(t, other, len(one))
		}
	})
}
