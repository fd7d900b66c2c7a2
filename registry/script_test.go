package registry_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/registry"
)

func TestSplitStatements(t *testing.T) {
	t.Parallel()
	tests := map[string][]string{
		"":                                    nil,
		" ; -- a\n;/* b; */":                  nil,
		"SELECT 1":                            {"SELECT 1"},
		" -- a;\nSELECT 1 -- b\n; SELECT ';'": {"SELECT 1", "SELECT ';'"},
		"SELECT $a$;$b$;$a$;SELECT E'\\';' ;": {"SELECT $a$;$b$;$a$", "SELECT E'\\';'"},
		"SELECT \";\" /* ; /* ; */ */ ;;x":    {"SELECT \";\"", "x"},
	}
	for script, want := range tests {
		spans, err := registry.SplitStatements(script)
		require.NoError(t, err, script)
		var got []string
		for _, s := range spans {
			got = append(got, script[s.Start:s.End])
		}
		require.Equal(t, want, got, script)
	}
	_, err := registry.SplitStatements("SELECT 1;\n SELECT 'a")
	require.EqualError(t, err, "2:9: string is not closed: end it with ', and double each ' inside it")
}

func TestPlaceholders(t *testing.T) {
	t.Parallel()
	text := "SELECT :a, ':b', $$:c$$, d::int, x[1::e], y[(:f):g], /* :h */ \":i\" WHERE :range(t) -- :j"
	found, err := registry.Placeholders(text)
	require.NoError(t, err)
	names := map[string]bool{}
	for _, p := range found {
		require.Equal(t, ":"+p.Name, text[p.Start:p.End])
		names[p.Name] = p.Subscript
	}
	require.Equal(t, map[string]bool{"a": false, "f": false, "g": true, "range": false}, names)
	_, err = registry.Placeholders("SELECT /* :a")
	require.ErrorContains(t, err, "comment is not closed")
}

func FuzzSplitStatements(f *testing.F) {
	for _, script := range []string{"SELECT 1; SELECT ';';", ";;", "$$;$$;", "E'\\';';'", "/*;/*;*/*/;--;\n;", "a[:b;c]"} {
		f.Add(script)
	}
	f.Fuzz(func(t *testing.T, script string) {
		spans, err := registry.SplitStatements(script)
		if err != nil {
			return
		}
		end := 0
		for _, s := range spans {
			require.LessOrEqual(t, end, s.Start)
			require.Less(t, s.Start, s.End)
			require.LessOrEqual(t, s.End, len(script))
			end = s.End
			again, err := registry.SplitStatements(script[s.Start:s.End])
			require.NoError(t, err)
			require.Equal(t, []registry.Span{{Start: 0, End: s.End - s.Start}}, again, "a statement is one statement")
		}
	})
}
