package process_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/plugins"
	"github.com/bbmd-dev/bbmd/plugins/process"
)

const complete = `{
	"protocol": 1, "name": "geo", "version": "1.2.0", "command": ["python3", "run.py"], "env": ["GEO_KEY"], "max_procs": 2,
	"works": [{"name": "geo_fill", "version": 2, "summary": "Fills.", "timeout": "1m30s", "verify": true, "check": true, "arguments": [
		{"name": "country", "type": "string", "summary": "a code", "required": true},
		{"name": "limit", "type": "integer", "default": 3}
	]}]
}`

func TestManifest(t *testing.T) {
	t.Parallel()
	m, err := process.ParseManifest("plugin.json", []byte(complete))
	require.NoError(t, err)
	require.Equal(t, process.Manifest{
		Protocol: 1, Name: "geo", Version: "1.2.0", Command: []string{"python3", "run.py"}, Env: []string{"GEO_KEY"}, MaxProcs: 2,
		Works: []process.WorkSpec{{
			Name: "geo_fill", Version: 2, Summary: "Fills.", Timeout: process.Duration(90 * time.Second), Verify: true, Check: true,
			Arguments: []process.Argument{
				{Name: "country", Type: "string", Summary: "a code", Required: true},
				{Name: "limit", Type: "integer", Default: []byte("3")},
			},
		}},
	}, m)

	m, err = process.ParseManifest("plugin.json", []byte(`{"protocol": 1, "name": "a", "command": ["./run"], "works": [{"name": "b"}]}`))
	require.NoError(t, err)
	require.Equal(t, 4, m.MaxProcs)
	require.Equal(t, process.WorkSpec{Name: "b", Version: 1, Timeout: process.Duration(45 * time.Second)}, m.Works[0])
}

func TestManifestsThatAreRefused(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ from, to, says string }{
		"no JSON":           {complete, "protocol: 1", "p: not JSON"},
		"two objects":       {complete, complete + "{}", "p: something follows the object"},
		"a list":            {complete, "[]", "has to be a object"},
		"unknown key":       {`"max_procs"`, `"max_proc"`, `p: max_proc: unknown key, did you mean "max_procs"?: remove it`},
		"unknown inner key": {`"required"`, `"require"`, `p: works[0].arguments[0].require: unknown key, did you mean "required"?`},
		"another spelling":  {`"verify"`, `"Verify"`, "p: works[0].Verify: unknown key"},
		"wrong type":        {`["GEO_KEY"]`, `"GEO_KEY"`, "env: it is a string and has to be a list"},
		"protocol":          {`"protocol": 1`, `"protocol": 2`, "p: protocol: 2 is not supported"},
		"name":              {`"geo"`, `"Geo"`, `p: name: "Geo" is not 1 to 63`},
		"no command":        {`["python3", "run.py"]`, `[]`, "p: command: it is missing"},
		"way out":           {`"python3"`, `"./../run"`, `p: command[0]: "./../run" is neither`},
		"inner path":        {`"python3"`, `"bin/run"`, `p: command[0]: "bin/run" is neither`},
		"zero":              {`"run.py"`, `"\u0000"`, "p: command[1]: there is a zero byte"},
		"procs":             {`"max_procs": 2`, `"max_procs": 65`, "p: max_procs: 65 is out of range"},
		"no works":          {complete, `{"protocol": 1, "name": "a", "command": ["./run"]}`, "p: works: there is none"},
		"name of work":      {`"geo_fill"`, `"geo-fill"`, `p: works[0].name: "geo-fill" is not`},
		"version of work":   {`"version": 2`, `"version": -2`, "p: works[0].version: -2 is negative"},
		"timeout":           {`"1m30s"`, `"90"`, `duration "90" is none`},
		"long timeout":      {`"1m30s"`, `"2h"`, `duration "2h" is none`},
		"type":              {`"integer"`, `"int"`, `p: works[0].arguments[1].type: "int" is none`},
		"default":           {`"default": 3`, `"default": "3"`, `p: works[0].arguments[1].default: "3" is not of type integer`},
		"null default":      {`"default": 3`, `"default": "x"`, "default"},
		"required default":  {`"required": true`, `"required": true, "default": "x"`, "p: works[0].arguments[0].default: an argument that is required"},
		"twice":             {`"limit"`, `"country"`, `p: works[0].arguments[1].name: "country" is there twice`},
		"variable":          {`"GEO_KEY"`, `"GEO_KEY=1"`, "p: env[0]: "},
		"way to a database": {`"GEO_KEY"`, `"APP_DATABASE_URL"`, "p: env[0]: APP_DATABASE_URL may hold the way to a database"},
		"password":          {`"GEO_KEY"`, `"PGPASSWORD"`, "p: env[0]: PGPASSWORD may hold"},
		"preload":           {`"GEO_KEY"`, `"LD_PRELOAD"`, "p: env[0]: LD_PRELOAD changes"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Contains(t, complete, c.from)
			_, err := process.ParseManifest("p", []byte(strings.Replace(complete, c.from, c.to, 1)))
			require.ErrorContains(t, err, c.says)
		})
	}
	_, err := process.ParseManifest("p", []byte(`{"nam": "x"}`))
	for _, problem := range []string{"nam: unknown", "protocol:", "name:", "command:", "works:"} {
		require.ErrorContains(t, err, "p: "+problem, "not everything is said at once")
	}
}

func FuzzManifest(f *testing.F) {
	f.Add(complete)
	f.Add(`{"protocol": 1, "works": [[]]}`)
	f.Fuzz(func(t *testing.T, text string) {
		m, err := process.ParseManifest("p", []byte(text))
		if err == nil {
			require.NotEmpty(t, m.Works)
			require.NotEmpty(t, m.Command)
		}
	})
}

func TestStatements(t *testing.T) {
	t.Parallel()
	for sql, says := range map[string]string{
		"SELECT 1": "",
		" /* a /* b */ ; */ -- ;\n (select ';');":                      "",
		"update t set a = $a$;$a$, b = E'\\';', c = 'x\\', \"d;\" = 1": "",
		"WITH a AS (SELECT 1) DELETE FROM t; -- done":                  "",
		"MERGE INTO t USING s ON true WHEN MATCHED THEN DELETE":        "",
		"SELECT 1 AS a$b$, 2":                                          "",
		"SELECT U&'\\0041;'":                                           "",
		"SELECT E'a''\\';'":                                            "",
		"":                                                             "is empty",
		"-- SELECT 1":                                                  "is empty",
		";SELECT 1":                                                    "more than one statement",
		"COMMIT":                                                       "COMMIT is not run",
		"/**/ rollback":                                                "ROLLBACK is not run",
		"SAVEPOINT a":                                                  "SAVEPOINT is not run",
		"SET ROLE postgres":                                            "SET is not run",
		"DO $$ BEGIN COMMIT; END $$":                                   "DO is not run",
		"CALL p()":                                                     "CALL is not run",
		"COPY t TO PROGRAM 'sh'":                                       "COPY is not run",
		"CREATE TABLE t ()":                                            "CREATE is not run",
		"EXPLAIN ANALYZE DELETE FROM t":                                "EXPLAIN is not run",
		"SELECT 1; COMMIT":                                             "more than one statement",
		"SELECT 'a' ; ; SELECT 2":                                      "more than one statement",
		"SELECT 'a\\'; COMMIT --'":                                     "more than one statement",
		"SELECT $1; COMMIT; SELECT $1":                                 "more than one statement",
		"'SELECT'":                                                     "is not run for a plugin",
	} {
		err := process.CheckStatement(sql)
		if says == "" {
			require.NoError(t, err, sql)
		} else {
			require.ErrorContains(t, err, says, sql)
		}
	}
}

func FuzzStatement(f *testing.F) {
	for _, sql := range []string{"SELECT 1", "/*", "E'", "$a$", "WITH a AS (SELECT ';') SELECT", "é", "$é$;$é$"} {
		f.Add(sql)
	}
	f.Fuzz(func(t *testing.T, sql string) {
		if process.CheckStatement(sql) == nil && !strings.ContainsAny(sql, "'\"$-/*") {
			require.LessOrEqual(t, strings.Count(strings.TrimRight(sql, "; \t\r\n\f\v"), ";"), 0)
		}
	})
}

func TestScan(t *testing.T) {
	t.Parallel()
	h := newHouse(t, nil)
	h.write("good", manifest{"protocol": 1, "name": "geo", "command": []string{"/bin/sh"}, "works": []manifest{{"name": "a"}}})
	h.write("bad", manifest{"protocol": 1})
	h.write("lost", manifest{"protocol": 1, "name": "lost", "command": []string{"no-such-program"}, "works": []manifest{{"name": "b"}}})
	require.NoError(t, os.MkdirAll(filepath.Join(h.dir, "no plugin"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(h.dir, "x.sql"), nil, 0o644))
	dir, err := plugins.OpenDir(h.dir)
	require.NoError(t, err)
	defer func() { require.NoError(t, dir.Close()) }()
	found, err := h.Scan(t.Context(), dir)
	require.NoError(t, err)
	require.Len(t, found, 3)
	byName := map[string]plugins.Candidate{}
	for _, c := range found {
		byName[c.Name] = c
	}
	require.NoError(t, byName["geo"].Err)
	require.Equal(t, filepath.Join(h.dir, "good"), byName["geo"].Path)
	require.Regexp(t, "^sha256:[0-9a-f]{64}$", byName["geo"].Digest)
	require.ErrorContains(t, byName["bad"].Err, filepath.Join("bad", "plugin.json")+": name: ")
	_, err = h.Open(t.Context(), byName["lost"])
	require.ErrorContains(t, err, "no-such-program is not in PATH: install it")
}
