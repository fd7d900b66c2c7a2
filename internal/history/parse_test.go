package history_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/internal/history"
)

func TestRequirements(t *testing.T) {
	t.Parallel()
	for source, want := range map[string][]string{
		"": nil, "-- nothing\nSELECT 1;": nil, "-- bbmd:require finished a": {"a"}, "--bbmd:require finished  a b \n": {"a b"}, "\ufeff-- bbmd:require finished a\r\n\r\n-- bbmd:require finished ü": {"a", "ü"},
		"/* one */ -- x\n-- bbmd:require finished a": nil, "/* one\ntwo */\n-- bbmd:require finished a": {"a"}, "-- see bbmd:require finished a": nil, "-- bbmd: is nice": nil, "/* bbmd:require finished a */": nil,
	} {
		got, err := history.Requirements(source, "--")
		switch source {
		case "-- bbmd: is nice":
			require.ErrorContains(t, err, "file:1: bbmd:is nice is not understood: write bbmd:require finished NAME", source)
		case "/* one */ -- x\n-- bbmd:require finished a":
			require.ErrorContains(t, err, "file:2: bbmd:require stands below the header", source)
		default:
			require.NoError(t, err, source)
			require.Equal(t, want, got, source)
		}
	}
	for _, source := range []string{"-- bbmd:require", "-- bbmd:require finished", "-- bbmd:require finished  ", "-- bbmd:require started a", "-- bbmd:requirefinished a", "-- bbmd:require finished " + strings.Repeat("x", 201)} {
		_, err := history.Requirements(source, "--")
		require.ErrorContains(t, err, "is not understood", source)
	}
}

func TestINI(t *testing.T) {
	t.Parallel()
	const text = "\ufeff# a comment\n[DEFAULT]\nroot = /srv\n\n[a]\nPath = %(root)s/%(NAME)s ; no comment\nname: x\nlist = one\n  two\n\n   # within\n\tthree\n\nempty =\nhundred = 100%%\nme = %(here)s\n[b]\r\nroot=%(root\nloop = %(loop)s\n"
	for key, want := range map[string]string{
		"a path": "/srv/x ; no comment", "a name": "x", "a list": "one\ntwo\n\nthree", "a empty": "", "a hundred": "100%", "a me": "/here", "a root": "/srv",
	} {
		section, option, _ := strings.Cut(key, " ")
		got, ok, err := history.INIOption(text, section, option)
		require.NoError(t, err, key)
		require.True(t, ok, key)
		require.Equal(t, want, got, key)
	}
	_, ok, err := history.INIOption(text, "a", "missing")
	require.NoError(t, err)
	require.False(t, ok)
	_, _, err = history.INIOption(text, "b", "root")
	require.ErrorContains(t, err, "x.ini:18: a % is neither %% nor")
	_, _, err = history.INIOption(text, "b", "loop")
	require.ErrorContains(t, err, "x.ini:19: the value refers to itself")
	for text, want := range map[string]string{
		"a = b": "x.ini:1: an option stands before the first [section]", "[a]\nb": "x.ini:2: it is neither a [section] nor an option", "[a]\n= b": "x.ini:2: it is neither",
		"[a]\nb = 1\nB = 2": "x.ini:3: option b is set twice in [a]", "[a]\n[b]\n[a]": "x.ini:3: section [a] is there twice",
	} {
		_, err := history.INISections(text)
		require.ErrorContains(t, err, want, text)
	}
}

func FuzzINI(f *testing.F) {
	f.Add("[a]\nb = %(c)s\nc: 1\n  2\n# x\n[DEFAULT]\nd=%%\n")
	f.Fuzz(func(t *testing.T, text string) {
		sections, err := history.INISections(text)
		if err != nil {
			return
		}
		for section, options := range sections {
			for option := range options {
				_, ok, _ := history.INIOption(text, section, option)
				require.True(t, ok)
			}
		}
	})
}

func FuzzRequirements(f *testing.F) {
	f.Add("-- bbmd:require finished a\n/* x */\nSELECT 1;\n-- bbmd:require")
	f.Fuzz(func(t *testing.T, source string) {
		names, err := history.Requirements(source, "--")
		if err == nil && len(names) < strings.Count(source, "\n-- bbmd:") {
			require.Contains(t, source, "/*", "a directive was passed over")
		}
	})
}

// TestPythonFormattedStrings has what Python allows since 3.12, and golden
// files of an older one cannot have.
func TestPythonFormattedStrings(t *testing.T) {
	t.Parallel()
	for _, expression := range []string{
		`f"{x["it's"]}"`, `f"{'"' + "'"}"`, `f"{d["a"]:{w["b"]}}"`, `f"{d:%H'%M}"`, `rf"\{{{x["n"]}"`, "f'''{ # it's a comment\n x }'''",
		`f"{f"{f"'"}"}"`, `t"{x["'"]}"`, `f"{x:{y:{"'"}}}"`, `f"{ {'a': "}"}["a"] }"`,
	} {
		source := "a = " + expression + "\nrevision = 'a1'\nb = " + expression + "; down_revision = None\n"

		values, _, err := history.PythonValues("a.py", []byte(source))

		require.NoError(t, err, source)
		require.Equal(t, map[string]any{"revision": "a1", "down_revision": nil}, values, source)
	}
}

// FuzzPython: what is read does not change with what follows and sets
// nothing, and no value appears that is not written out.
func FuzzPython(f *testing.F) {
	for _, source := range pythonFiles(f) {
		f.Add(source)
	}
	f.Fuzz(func(t *testing.T, source string) {
		values, title, err := history.PythonValues("a.py", []byte(source))
		if err != nil || strings.Contains(source, "coding") {
			return
		}
		again, againTitle, err := history.PythonValues("a.py", []byte(source+"\n\ndef upgrade():\n    revision = 'wrong'\n    # the end\n"))
		if strings.HasSuffix(strings.TrimRight(source, "\r\n"), `\`) || err != nil && strings.Contains(source, "\\") {
			return // the last line goes on
		}
		require.NoError(t, err)
		require.Equal(t, values, again)
		require.Equal(t, title, againTitle)
	})
}

func FuzzRevision(f *testing.F) {
	for _, source := range pythonFiles(f) {
		f.Add([]byte(source))
	}
	f.Add([]byte("# coding: latin-1\nrevision = '\xe4'\ndown_revision = None\n# bbmd:require finished x\n"))
	f.Fuzz(func(t *testing.T, source []byte) {
		step, err := history.ParseRevision("1975ea83b712.py", source)
		if err != nil {
			require.ErrorContains(t, err, "1975ea83b712.py:", "an error names file and line")
			return
		}
		require.NotEmpty(t, step.Version)
		require.NotContains(t, step.Version, "@")
		require.Len(t, step.Checksum, 64)
	})
}

// FuzzResolve: whatever is typed means revisions of the files, of which none
// needs another, or is an error.
func FuzzResolve(f *testing.F) {
	files, err := history.Open("testdata/alembic/branches", "", history.Options{})
	require.NoError(f, err)
	for _, typed := range []string{"head", "heads", "base", "billing@head", "a1b2", "a1 b2", "head-1", "@", "billing@", "@head", ","} {
		f.Add(typed)
	}
	f.Fuzz(func(t *testing.T, typed string) {
		heads, err := files.Resolve(typed)
		if err != nil {
			return
		}
		_, err = files.Until(heads)
		require.NoError(t, err)
		require.Empty(t, files.Compare(heads).Refusal)
	})
}
