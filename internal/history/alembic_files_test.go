package history_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/internal/history"
)

// revisionFile is a revision file. Down and more are as Python writes them.
func revisionFile(id, down string, more ...string) string {
	return "\"\"\"" + id + " does this\"\"\"\nrevision = \"" + id + "\"\ndown_revision = " + down + "\n" + strings.Join(more, "\n") + "\n\n\ndef upgrade():\n    pass\n"
}

func openAlembic(t *testing.T, files map[string]string) (history.Files, error) {
	t.Helper()
	return history.Open(writeFiles(t, files).path, history.Alembic, history.Options{})
}

func TestAlembicSteps(t *testing.T) {
	t.Parallel()
	files := openProject(t, "branches")
	byID := map[string]history.Step{}
	for _, s := range files.Steps() {
		byID[s.Version] = s
	}

	require.Len(t, byID, 6)
	bill := byID["c3d4e5f6a7b8"]
	require.Equal(t, []string{"backfill_member_mail"}, bill.Requires)
	require.Equal(t, "c3d4e5f6a7b8_bill.py", filepath.Base(bill.File))
	require.Len(t, bill.Checksum, 64)
	require.True(t, bill.Transactional)
	require.False(t, byID["d4e5f6a7b8c9"].Transactional, "it has an autocommit_block")
	require.Empty(t, files.Compare(nil).Late)
	lost := files.Compare([]string{"deadbeef0000", "a1b2c3d4e5f6"})
	require.Equal(t, []string{"deadbeef0000"}, lost.Unknown)
	require.Len(t, lost.Pending, 5)
	require.False(t, lost.Ahead)
	until, err := files.Until([]string{"d4e5f6a7b8c9"})
	require.NoError(t, err)
	require.Equal(t, []string{"a1b2c3d4e5f6", "c3d4e5f6a7b8", "d4e5f6a7b8c9"}, versions(until))
	_, err = files.Until([]string{"deadbeef0000"})
	require.ErrorContains(t, err, `version "deadbeef0000" is not in the files`)
}

func TestAlembicInARelativeDirectory(t *testing.T) {
	t.Chdir(writeFiles(t, map[string]string{"migrations/versions/a.py": revisionFile("a1", "None")}).path)
	files, err := history.Open("migrations", history.Alembic, history.Options{})
	require.NoError(t, err)
	require.Equal(t, []string{"a1"}, files.Heads())
}

func TestAlembicResolves(t *testing.T) {
	t.Parallel()
	branches, twoHeads := openProject(t, "branches"), openProject(t, "twoheads")
	for typed, want := range map[string][]string{
		"head": {"f6a7b8c9d0e1"}, "base": nil, "c3d4": {"c3d4e5f6a7b8"}, "d4e5f6a7b8c9,b2c3": {"b2c3d4e5f6a7", "d4e5f6a7b8c9"},
		" billing ": {"c3d4e5f6a7b8"}, "a1b2c3d4e5f6 f6a7": {"f6a7b8c9d0e1"}, "b2c3d4e5f6a7 b2c3": {"b2c3d4e5f6a7"},
	} {
		got, err := branches.Resolve(typed)
		require.NoError(t, err, typed)
		require.Equal(t, want, got, typed)
	}
	for typed, want := range map[string]string{
		"nothing": `version "nothing" is not in the files, which have 1 older ones, `, "": "branch labels billing", "head-1": "is relative to a database", "+1": "is relative", "billing@base": "name the revision",
		"a1b2c3d4e5f6 base": "base is not one of several", "billing@b2c3": "revision b2c3d4e5f6a7 is not on branch billing", "nobody@head": "is not in the files",
	} {
		_, err := branches.Resolve(typed)
		require.ErrorContains(t, err, want, typed)
	}
	_, err := twoHeads.Resolve("head")
	require.ErrorContains(t, err, "there are several heads, a2, b2: name one, or say heads")
	both, err := twoHeads.Resolve("heads")
	require.NoError(t, err)
	require.Equal(t, []string{"a2", "b2"}, both)
	_, err = openAlembicMust(t, map[string]string{"a.py": revisionFile("abcd1", "None"), "b.py": revisionFile("abcd2", `"abcd1"`)}).Resolve("abcd")
	require.ErrorContains(t, err, "may be one of several: abcd1 abcd1 does this, abcd2 abcd2 does this")
}

func openAlembicMust(t *testing.T, files map[string]string) history.Files {
	t.Helper()
	f, err := openAlembic(t, files)
	require.NoError(t, err)
	return f
}

func TestAlembicRefuses(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		files map[string]string
		want  []string
	}{
		"nothing":                  {map[string]string{"env.py": ""}, []string{"env.py:1: it sets no revision"}},
		"an empty directory":       {map[string]string{"versions/README": ""}, []string{"there is no revision of Alembic's in"}},
		"a revision twice":         {map[string]string{"a.py": revisionFile("a1", "None"), "b.py": revisionFile("a1", "None")}, []string{"a.py", "b.py", "are both revision a1"}},
		"a file that is missing":   {map[string]string{"a.py": revisionFile("a1", `"z9"`)}, []string{`a.py: down_revision "z9" is in no file`}},
		"a dependency missing":     {map[string]string{"a.py": revisionFile("a1", "None", `depends_on = "z9"`)}, []string{`depends_on "z9" is neither a revision nor a branch label`}},
		"a circle":                 {map[string]string{"a.py": revisionFile("a1", `"b2"`), "b.py": revisionFile("b2", `"a1"`)}, []string{"a1 -> b2 -> a1 need each other in a circle"}},
		"itself":                   {map[string]string{"a.py": revisionFile("a1", `"a1"`)}, []string{"a1 -> a1 need each other"}},
		"a label twice":            {map[string]string{"a.py": revisionFile("a1", "None", `branch_labels = "x"`), "b.py": revisionFile("b2", "None", `branch_labels = ["x"]`)}, []string{`branch label "x" is also that of revision a1`}},
		"a label like a revision":  {map[string]string{"a.py": revisionFile("a1", "None", `branch_labels = "b2"`), "b.py": revisionFile("b2", "None")}, []string{`branch label "b2" is the identifier of a revision`}},
		"a character":              {map[string]string{"a.py": revisionFile("a@1", "None")}, []string{`a.py:2: revision "a@1" has a "@" in it`}},
		"no down_revision":         {map[string]string{"a.py": "revision = 'a1'"}, []string{"a.py:1: it sets no down_revision"}},
		"an identifier as a tuple": {map[string]string{"a.py": "\nrevision = 'a1',\ndown_revision = None"}, []string{"a.py:2: revision has to be one string"}},
		"an identifier of None":    {map[string]string{"a.py": "revision = None\ndown_revision = None"}, []string{"a.py:1: revision has to be one string"}},
		"computed":                 {map[string]string{"a.py": "x = 1\nrevision = (\n  'a' +\n  'b')\ndown_revision = None"}, []string{"a.py:3: the value of revision is not None, a string"}},
		"an open bracket":          {map[string]string{"a.py": "revision = 'a1'\ndown_revision = (\n"}, []string{"a.py:2: ( is not closed"}},
		"a bracket too many":       {map[string]string{"a.py": "revision = 'a1'\ndown_revision = None)\n"}, []string{"a.py:2: ) closes nothing"}},
		"an open string":           {map[string]string{"a.py": "revision = 'a1\ndown_revision = None\n"}, []string{"a.py:1: the string has no end"}},
		"not UTF-8":                {map[string]string{"a.py": "# ok\n# \xff\nrevision = 'a1'\n"}, []string{"a.py:2: it is not UTF-8"}},
		"an unknown encoding":      {map[string]string{"a.py": "# coding: shift_jis\nrevision = 'a1'\n"}, []string{`a.py:1: it is in the encoding "shiftjis"`}},
		"require in the body":      {map[string]string{"a.py": revisionFile("a1", "None") + "    # bbmd:require finished x\n"}, []string{"a.py:9: bbmd:require stands below the header"}},
		"require in a docstring":   {map[string]string{"a.py": "\"\"\"x\n\n# bbmd:require finished x\n\"\"\"\nrevision = 'a1'\ndown_revision = None\n"}, []string{"a.py:1: the string that begins here has a line # bbmd:"}},
		"all faults at once":       {map[string]string{"a.py": "revision = 1", "x.py": "x"}, []string{"a.py:1: the value", "x.py:1: it sets no revision"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			_, err := openAlembic(t, c.files)

			for _, want := range c.want {
				require.ErrorContains(t, err, want)
			}
		})
	}
}

func TestAlembicEncodings(t *testing.T) {
	t.Parallel()
	plain := "revision = 'a1'\ndown_revision = None\n"
	for name, c := range map[string]struct{ source, title string }{
		"a byte order mark":      {"\ufeff'''schön'''\n" + plain, "schön"},
		"declared UTF-8":         {"#!/usr/bin/env python\n# vim: set fileencoding=UTF-8 :\n'''schön'''\n" + plain, "schön"},
		"latin 1":                {"# -*- coding: latin-1 -*-\n'''sch\xf6n'''\n" + plain, "schön"},
		"another, in a comment":  {"# -*- coding: cp1252 -*-\n'''plain'''\n# \x80\n" + plain, "plain"},
		"windows' line endings":  {strings.ReplaceAll("'''one\ntwo'''\n"+plain, "\n", "\r\n"), "one two"},
		"old Mac's line endings": {strings.ReplaceAll("'''one'''\n"+plain, "\n", "\r"), "one"},
		"declared too late":      {"x = 1\n# coding: shift_jis\n" + plain, ""},
	} {
		step, err := history.ParseRevision("a.py", []byte(c.source))
		require.NoError(t, err, name)
		require.Equal(t, "a1", step.Version, name)
		require.Equal(t, c.title, step.Name, name)
	}
	_, err := history.ParseRevision("a.py", []byte("# coding: cp1252\nrevision = '\x80'\ndown_revision = None"))
	require.ErrorContains(t, err, "a.py:2: the value of revision")
}

func TestAlembicNamesOldFilesItself(t *testing.T) {
	t.Parallel()
	step, err := history.ParseRevision("dir/1975ea83b712.py", []byte("down_revision = None"))
	require.NoError(t, err)
	require.Equal(t, "1975ea83b712", step.Version)
}
