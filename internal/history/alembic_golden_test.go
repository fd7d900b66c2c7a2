package history_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/internal/history"
	"github.com/bbmd-dev/bbmd/testing/pgtest"
)

// The golden files are what Alembic and Python themselves said, recorded by
// testdata/record.py.

type golden struct {
	Heads, Rows, Table []string
	Titles             map[string]string
	Commands           []stage
}

// stage is the database after a command. Refused is why Alembic does not
// accept the rows, Error why it did not do what it was told.
type stage struct {
	Command        string
	Rows, Pending  []string
	Error, Refused string
}

func projects() []string {
	return []string{"branches", "twoheads", "depends", "dependslabel", "places"}
}

func readGolden(t *testing.T, name string, into any) {
	t.Helper()
	content, err := os.ReadFile(filepath.Join("testdata", name))
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(content, into))
}

func openProject(t *testing.T, project string) history.Files {
	t.Helper()
	files, err := history.Open(filepath.Join("testdata", "alembic", project), "", history.Options{})
	require.NoError(t, err)
	require.Equal(t, history.Alembic, files.Tool())
	return files
}

func versions(steps []history.Step) []string {
	var all []string
	for _, s := range steps {
		all = append(all, s.Version)
	}
	return all
}

// same compares lists whose order means nothing.
func same(t *testing.T, want, got []string, context ...any) {
	t.Helper()
	diff := cmp.Diff(want, got, cmpopts.SortSlices(strings.Compare), cmpopts.EquateEmpty())
	require.Empty(t, diff, context...)
}

func TestAlembicFilesAgreeWithAlembic(t *testing.T) {
	t.Parallel()
	for _, project := range projects() {
		t.Run(project, func(t *testing.T) {
			t.Parallel()
			var want golden
			readGolden(t, "alembic/"+project+".golden.json", &want)

			files := openProject(t, project)

			same(t, want.Rows, files.Heads())
			same(t, want.Heads, history.AlembicHeads(files))
			titles := map[string]string{}
			for _, s := range files.Steps() {
				titles[s.Version] = s.Name
			}
			require.Equal(t, want.Titles, titles)
			require.True(t, files.Compare(want.Rows).UpToDate())
			for _, s := range want.Commands {
				c := files.Compare(s.Rows)
				if s.Refused != "" {
					require.NotEmpty(t, c.Refusal, s.Command)
					continue
				}
				require.Empty(t, c.Refusal, s.Command)
				same(t, s.Pending, versions(c.Pending), s.Command)
				inOrder(t, project, versions(c.Pending))
			}
		})
	}
}

// inOrder checks that no step comes before one that it needs.
func inOrder(t *testing.T, project string, pending []string) {
	t.Helper()
	needs := map[string]map[string][]string{
		"branches": {"c3d4e5f6a7b8": {"a1b2c3d4e5f6"}, "e5f6a7b8c9d0": {"b2c3d4e5f6a7", "d4e5f6a7b8c9"}, "f6a7b8c9d0e1": {"e5f6a7b8c9d0"}},
		"depends":  {"b1": {"c2"}, "c2": {"c1"}, "b2": {"b1"}},
		"places":   {"x1": {"p1"}, "x2": {"x1"}, "p2": {"p1"}},
	}
	for i, id := range pending {
		for _, need := range needs[project][id] {
			require.NotContains(t, pending[i:], need, "%s needs it", id)
		}
	}
}

// TestStampLeavesWhatAlembicLeaves takes the words that were given to alembic
// stamp --purge, and compares tables.
func TestStampLeavesWhatAlembicLeaves(t *testing.T) {
	t.Parallel()
	for _, project := range projects() {
		t.Run(project, func(t *testing.T) {
			t.Parallel()
			var want golden
			readGolden(t, "alembic/"+project+".golden.json", &want)
			files := openProject(t, project)
			db := pgtest.NewEmpty(t)
			for _, s := range want.Commands {
				words, isStamp := strings.CutPrefix(s.Command, "stamp ")
				if !isStamp {
					continue
				}
				heads, err := files.Resolve(words)
				if s.Error != "" {
					require.Error(t, err, s.Command)
					continue
				}
				require.NoError(t, err, s.Command)
				stamp(t, db, files, history.Place{}, heads)
				rows := pgtest.Column[string](t, db, "SELECT version_num FROM alembic_version")
				if s.Refused != "" { // Alembic writes rows that it then refuses
					require.True(t, files.Compare(s.Rows).Refusal != "" && files.Compare(rows).Refusal == "", s.Command)
					continue
				}
				same(t, s.Rows, rows, s.Command)
				same(t, want.Table, pgtest.Column[string](t, db, alembicTable), s.Command)
			}
		})
	}
}

// alembicTable describes the table as testdata/record.py does. That a column is NOT NULL is a constraint as well from PostgreSQL 18 on.
const alembicTable = `
	SELECT a.attname || ' ' || format_type(a.atttypid, a.atttypmod) || CASE WHEN a.attnotnull THEN ' NOT NULL' ELSE '' END
	FROM pg_attribute a WHERE a.attrelid = 'alembic_version'::regclass AND a.attnum > 0
	UNION ALL SELECT conname || ' ' || pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = 'alembic_version'::regclass AND contype <> 'n'`

// TestGraphsAgreeWithAlembic compares random graphs, some of them with circles.
func TestGraphsAgreeWithAlembic(t *testing.T) {
	t.Parallel()
	var graphs []struct {
		Revisions   []history.GraphRevision
		Heads, Rows []string
		Error       string
		Circle      bool // Alembic does not see all of them
		Stages      []stage
	}
	readGolden(t, "random.golden.json", &graphs)
	refused, compared := 0, 0
	for _, g := range graphs {
		files, heads, err := history.GraphFiles(g.Revisions)
		if g.Error != "" || g.Circle {
			require.Error(t, err, g.Error)
			refused++
			continue
		}
		require.NoError(t, err)
		same(t, g.Heads, heads)
		same(t, g.Rows, files.Heads())
		for _, s := range g.Stages {
			c := files.Compare(s.Rows)
			require.Equal(t, s.Error != "", c.Refusal != "", "%v: Alembic says %q", s.Rows, s.Error)
			if s.Error == "" {
				same(t, s.Pending, versions(c.Pending))
				compared++
			}
		}
	}
	require.Greater(t, refused, 3)
	require.Greater(t, compared, 100)
}

// TestPythonAgreesWithPython: what is not refused has the values that Python
// gives it, and nothing is refused but what is meant to be.
func TestPythonAgreesWithPython(t *testing.T) {
	t.Parallel()
	var want map[string]map[string]any
	readGolden(t, "python.golden.json", &want)
	for name, source := range pythonFiles(t) {
		values, title, err := history.PythonValues(name, []byte(source))
		if strings.HasPrefix(name, "refused: ") {
			if err == nil {
				_, err = history.ParseRevision(name, []byte(source))
			}
			require.ErrorContains(t, err, name+":", "%s: it names the file and the line", name)
			continue
		}
		require.NoError(t, err, name)
		recorded := map[string]any{}
		for key, v := range want[name] {
			recorded[key] = stringsOf(v)
		}
		values["title"] = title
		require.Equal(t, recorded, values, name)
	}
}

// stringsOf makes strings of what JSON calls a list.
func stringsOf(v any) any {
	list, ok := v.([]any)
	if !ok {
		return v
	}
	all := []string{}
	for _, e := range list {
		s, _ := e.(string)
		all = append(all, s)
	}
	return all
}

// pythonFiles are the files in python.txt, by the lines -- NAME -- between them.
func pythonFiles(tb testing.TB) map[string]string {
	tb.Helper()
	content, err := os.ReadFile("testdata/python.txt")
	require.NoError(tb, err)
	files := map[string]string{}
	name := ""
	for line := range strings.Lines(string(content)) {
		if inner, ok := strings.CutPrefix(line, "-- "); ok && strings.HasSuffix(inner, " --\n") {
			name = strings.TrimSuffix(inner, " --\n")
			files[name] = ""
			continue
		}
		files[name] += line
	}
	require.Greater(tb, len(files), 30)
	return files
}
