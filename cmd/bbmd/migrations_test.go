package main_test

import (
	"encoding/json"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/internal/control"
	"github.com/bbmd-dev/bbmd/testing/pgtest"
)

// on runs a command against a database.
func on(t *testing.T, db *pgtest.Database, args ...string) result {
	t.Helper()
	return bbmd(t, databaseURL(db), args...)
}

// users returns a database with the control schema and a table of that many rows.
func users(t *testing.T, rows int) *pgtest.Database {
	t.Helper()
	db := pgtest.New(t)
	db.Exec(t, "CREATE TABLE users (id bigint PRIMARY KEY, n int NOT NULL DEFAULT 0)")
	db.Exec(t, "INSERT INTO users SELECT g FROM generate_series(1, $1::int) g", rows)
	db.Exec(t, "ANALYZE users")
	return db
}

const addOne = "sql=UPDATE users SET n = n + 1 WHERE :range"

func TestEnqueueCommand(t *testing.T) {
	t.Parallel()
	db := users(t, 10)

	got := on(t, db, "enqueue", "execute_sql", "users", "--set", addOne, "--name", "m", "--batch-size", "7", "--parallelism", "2",
		"--priority", "-3", "--max-attempts", "4", "--min", "2", "--max", "9", "--depends-on", "a", "--depends-on", "b,c", "--column", "id", "--paused",
		"--min-batch-size", "3", "--max-batch-size", "30", "--target-duration", "20ms", "--pause", "1ms", "--max-quarantined", "2")
	require.Equal(t, result{out: "enqueued m: `bbmd status --watch m` follows it\n"}, got)
	d, err := control.Store{}.Detail(t.Context(), db.Conn(t), "m")
	require.NoError(t, err)
	require.JSONEq(t, `{"sql": "UPDATE users SET n = n + 1 WHERE :range"}`, string(d.Arguments))
	require.Equal(t, []int32{7, 2, -3, 4}, []int32{d.BatchSize, d.Parallelism, d.Priority, *d.MaxAttempts})
	require.Equal(t, []string{"2", "9", "id", "paused"}, []string{*d.Min, *d.Max, *d.Column, d.Status})
	require.Equal(t, []string{"a", "b,c"}, d.DependsOn)
	require.Equal(t, "3 30 00:00:00.02 00:00:00.001 2 keyset", pgtest.One[string](t, db,
		"SELECT concat_ws(' ', min_batch_size, max_batch_size, target_duration, pause, max_quarantined, batching_strategy) FROM bbm.batched_background_migrations"))

	got = on(t, db, "enqueue", "execute_sql", "users", "--arguments", `{"sql": "DELETE FROM users WHERE :range"}`)
	require.Zero(t, got.code)
	require.Contains(t, got.out, "enqueued execute_sql_users:")
	require.Contains(t, got.err, "no bbmd daemon has a session on this database")

	got = on(t, db, "enqueue", "execute_sql", "users", "--set", addOne, "--name", "j", "-o", "json")
	var p control.Progress
	require.NoError(t, json.Unmarshal([]byte(got.out), &p))
	require.Equal(t, []string{"j", "active"}, []string{p.Name, p.Status})
}

func TestEnqueueUnknownWorkWarnsThatItWaits(t *testing.T) {
	t.Parallel()
	db := users(t, 1)
	got := on(t, db, "enqueue", "execute_sgl", "users", "--set", "level=3", "--set", "deep:=[1]")
	require.Zero(t, got.code)
	require.Contains(t, got.err, `warning: unknown work "execute_sgl", did you mean "execute_sql"?: the migration waits until a bbmd that has it runs`)
	require.JSONEq(t, `{"level": "3", "deep": [1]}`, pgtest.One[string](t, db, "SELECT arguments::text FROM bbm.batched_background_migrations"))
}

func TestEnqueueNamesWhatIsWrong(t *testing.T) {
	t.Parallel()
	db := users(t, 1)
	db.Exec(t, "SELECT bbm.enqueue('w', 'users', name => 'taken')")
	for name, test := range map[string]struct {
		args []string
		want string
	}{
		"argument":       {[]string{"execute_sql", "users", "--set", "sgl=x"}, `unknown argument "sgl", did you mean "sql"? (it takes sql`},
		"no arguments":   {[]string{"execute_sql", "users"}, `argument "sql" is missing`},
		"statement":      {[]string{"execute_sql", "users", "--set", "sql=DELETE FROM users"}, "no placeholder, so every batch would touch every row: write WHERE :range"},
		"arguments":      {[]string{"execute_sql", "users", "--arguments", "[]"}, "--arguments []: it is not a JSON object"},
		"null":           {[]string{"execute_sql", "users", "--arguments", "null"}, "--arguments null: it is not a JSON object"},
		"doubled":        {[]string{"execute_sql", "users", "--arguments", `{"sql": 3}`}, `argument "sql" is a number and has to be a string`},
		"set":            {[]string{"execute_sql", "users", "--set", "sql"}, "--set sql: write key=value"},
		"set JSON":       {[]string{"execute_sql", "users", "--set", "sql:=x"}, "--set sql:=x: the value is not JSON"},
		"table":          {[]string{"execute_sql", "usrs", "--set", addOne}, `table "usrs" does not exist: give its schema as well`},
		"column":         {[]string{"execute_sql", "users", "--set", addOne, "--column", "idd"}, "table public.users has no column idd: leave --column out"},
		"name":           {[]string{"execute_sql", "users", "--set", addOne, "--name", "taken"}, `there is a migration named "taken" already, and it is active: give this one a name of its own with --name`},
		"batch size":     {[]string{"execute_sql", "users", "--set", addOne, "--batch-size", "0"}, "batch size has to be between 1 and 10 million"},
		"reversed range": {[]string{"execute_sql", "users", "--set", addOne, "--min", "10", "--max", "9"}, "the first key, 10, comes after the last, 9"},
		"no table":       {[]string{"execute_sql"}, "accepts 2 arg(s), received 1"},
		"output":         {[]string{"execute_sql", "users", "--set", addOne, "-o", "yaml"}, "--output yaml: it is table or json"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := on(t, db, append([]string{"enqueue"}, test.args...)...)
			require.Equal(t, 2, got.code)
			require.Contains(t, got.err, test.want)
			require.Empty(t, got.out)
		})
	}
}

func TestEnqueueAndWatch(t *testing.T) {
	t.Parallel()
	db := users(t, 5000)
	runDaemon(t, databaseURL(db))
	got := on(t, db, "enqueue", "execute_sql", "users", "--set", addOne, "--watch")
	require.Zero(t, got.code, got.err)
	lines := strings.Split(strings.TrimSpace(got.out), "\n")
	require.Regexp(t, `^\d\d:\d\d:\d\d  execute_sql_users  finished    100%  5,000 rows  took \d`, lines[len(lines)-1])
	require.Equal(t, 5000, pgtest.One[int](t, db, "SELECT count(*) FROM users WHERE n = 1"))
}

func TestWatchTellsThatOneFailed(t *testing.T) {
	t.Parallel()
	db := users(t, 100)
	runDaemon(t, databaseURL(db))
	got := on(t, db, "enqueue", "execute_sql", "users", "--name", "bad", "--max-attempts", "1", "--watch", "-o", "json",
		"--set", "sql=UPDATE users SET n = 1 / (id - 50) WHERE :range")
	require.Equal(t, 65, got.code)
	require.Regexp(t, `migration "bad" failed: job \d+ .*division by zero \(SQLSTATE 22012\): mend the cause, then .bbmd retry bad.`, got.err)
	lines := strings.Split(strings.TrimSpace(got.out), "\n")
	var last control.Progress
	require.NoError(t, json.Unmarshal([]byte(lines[len(lines)-1]), &last))
	require.Equal(t, []string{"failed", "22012"}, []string{last.Status, *last.SQLState})
	require.Equal(t, int64(1), last.FailedJobs)
	require.Equal(t, "22012", *last.Troubles[0].SQLState)

	got = on(t, db, "status", "bad")
	require.Contains(t, got.out, "failed once")
	require.Regexp(t, `running .* by bbmd_owner through bbmd/default`, got.out)
}

func TestWatchWithNothingToWatch(t *testing.T) {
	t.Parallel()
	db := users(t, 1)
	require.Equal(t, result{out: "nothing to watch: no migration is under way\n"}, on(t, db, "status", "--watch"))
	got := on(t, db, "status", "--watch", "nobody")
	require.Equal(t, 2, got.code)
}

// waitOut waits until the process has written a line that matches.
func (p *process) waitOut(pattern string) {
	p.t.Helper()
	require.Eventually(p.t, func() bool { return regexp.MustCompile(pattern).MatchString(p.out.String()) },
		patience, 5*time.Millisecond, "the process never says %s", pattern)
}

func TestWatchFollowsWithoutADaemon(t *testing.T) {
	t.Parallel()
	db := users(t, 1)
	db.Exec(t, "SELECT bbm.enqueue('w', 'users', name => 'first')")
	p := spawn(t, databaseURL(db), "status", "--watch")

	p.waitOut(`first  active .*no bbmd daemon`)
	db.Exec(t, "SELECT bbm.pause('first', 'lunch')")
	p.waitOut(`first  paused .*lunch`)
	db.Exec(t, "SELECT bbm.enqueue('w', 'users', name => 'later')")
	p.waitOut(`later  active`)
	// Its sessions are lost, and come back.
	db.Exec(t, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE 'bbmd/%'")
	db.Exec(t, "SELECT bbm.cancel('later', 'a mistake')")
	p.waitOut(`later  cancelled .*a mistake`)

	p.signal(syscall.SIGINT)
	require.Equal(t, 130, p.wait())
	require.Contains(t, p.err.String(), "not watching any more")
}

func TestStatusCommand(t *testing.T) {
	t.Parallel()
	db := users(t, 1)
	require.Equal(t, result{out: "no migrations yet: `bbmd enqueue WORK TABLE` adds one, `bbmd works` lists the Works\n"}, on(t, db, "status"))
	db.Exec(t, `SELECT bbm.enqueue('w', 'users', name => 'one'), bbm.enqueue('w', 'users', name => 'two', paused => true)`)

	got := on(t, db, "status")
	require.Equal(t, result{out: `NAME  STATUS  DONE  ROWS  RATE  TIME  WORK  TABLE
one   active                          w     public.users
  └ no bbmd daemon has a session on this database: ` + "`bbmd run`" + ` starts one
two   paused                          w     public.users
`}, got)
	require.NotContains(t, on(t, db, "status", "one", "two").out, "History")
	require.Contains(t, on(t, db, "status", "two").out, "\nHistory\n")

	got = on(t, db, "status", "one", "tow", "three")
	require.Equal(t, 2, got.code)
	require.Contains(t, got.err, `there is no migration named "tow", did you mean "two"?: `+"`bbmd status` lists them")
	require.Contains(t, got.err, `"three"`)
	require.Equal(t, 2, on(t, db, "status", "tow").code)

	var list []control.Progress
	require.NoError(t, json.Unmarshal([]byte(on(t, db, "status", "-o", "json").out), &list))
	require.Len(t, list, 2)
	var d control.Detail
	require.NoError(t, json.Unmarshal([]byte(on(t, db, "status", "two", "-o", "json").out), &d))
	require.Len(t, d.Transitions, 1)
}

func TestStatusListsTheLatestOfThoseThatAreOver(t *testing.T) {
	t.Parallel()
	db := users(t, 1)
	db.Exec(t, `SELECT bbm.enqueue('w', 'users', name => 'm' || g) FROM generate_series(1, 25) g;
		UPDATE bbm.batched_background_migrations SET status = 'cancelled'`)
	require.Equal(t, 1+20, strings.Count(on(t, db, "status").out, "\n"))
	require.Equal(t, 1+25, strings.Count(on(t, db, "status", "--all").out, "\n"))
}

func TestControlCommands(t *testing.T) {
	t.Parallel()
	db := users(t, 1)
	db.Exec(t, "SELECT bbm.enqueue('w', 'users', name => 'one'), bbm.enqueue('w', 'users', name => 'two'), bbm.enqueue('w', 'users', name => 'bad')")
	db.Exec(t, "UPDATE bbm.batched_background_migrations SET status = 'failed' WHERE name = 'bad'")
	for _, step := range []struct {
		args string
		want result
	}{
		{"pause one --reason lunch", result{out: "one: active -> paused\n"}},
		{"pause one two", result{out: "one: paused already\ntwo: active -> paused\n"}},
		{"pause --all", result{out: "nothing to pause: no migration is active or running\n"}},
		{"resume --all", result{out: "one: paused -> active\ntwo: paused -> active\n"}},
		{"retry --all", result{out: "bad: failed -> active\n"}},
		{"cancel two", result{out: "two: active -> cancelled\n"}},
		{"resume one twoo two", result{
			code: 2, out: "one: active already\n",
			err: "bbmd: there is no migration named \"twoo\", did you mean \"two\"?: `bbmd status` lists them\n" +
				"bbmd: migration \"two\" is cancelled: it cannot become active: a migration that is over stays so; enqueue another one under a new name\n",
		}},
		{"resume two", result{
			code: 73,
			err:  "bbmd: migration \"two\" is cancelled: it cannot become active: a migration that is over stays so; enqueue another one under a new name\n",
		}},
		{"cancel", result{code: 2, err: "bbmd: name at least one migration\nRun `bbmd cancel --help` for usage.\n"}},
		{"pause", result{code: 2, err: "bbmd: name at least one migration, or say --all\nRun `bbmd pause --help` for usage.\n"}},
		{"pause --all one", result{code: 2, err: "bbmd: --all and names exclude each other\nRun `bbmd pause --help` for usage.\n"}},
		{"cancel --all", result{code: 2, err: "bbmd: unknown flag: --all\nRun `bbmd cancel --help` for usage.\n"}},
	} {
		require.Equal(t, step.want, on(t, db, strings.Fields(step.args)...), step.args)
	}
	require.Equal(t, "lunch", pgtest.One[string](t, db, "SELECT reason FROM bbm.transitions WHERE name = 'one' AND to_status = 'paused'"))

	db.Exec(t, "SELECT bbm.pause('one')")
	got := on(t, db, "retry", "one")
	require.Equal(t, result{code: 73, err: "bbmd: migration \"one\" is paused: there is nothing to retry: `bbmd resume one` lets it go on\n"}, got)

	got = on(t, db, "resume", "one", "nobody", "-o", "json")
	var report []struct {
		Name, Before, After string
		Error               *string
	}
	require.NoError(t, json.Unmarshal([]byte(got.out), &report))
	require.Equal(t, 2, got.code)
	require.Equal(t, []string{"one", "paused", "active"}, []string{report[0].Name, report[0].Before, report[0].After})
	require.Nil(t, report[0].Error)
	require.NotNil(t, report[1].Error)
}

func TestCommandsSayWhatKeepsThemFromTheDatabase(t *testing.T) {
	t.Parallel()
	empty := pgtest.NewEmpty(t)
	got := on(t, empty, "status")
	require.Equal(t, 2, got.code)
	require.Contains(t, got.err, "run `bbmd init-control`")

	away := *empty
	away.URL = "postgres://someone:secret@127.0.0.1:1/x?sslmode=disable"
	for _, args := range []string{"status", "status --watch", "pause x", "enqueue w t"} {
		got = on(t, &away, strings.Fields(args)...)
		require.Equal(t, 69, got.code, args)
		require.Contains(t, got.err, "database default:")
		require.NotContains(t, got.err, "secret")
	}
}

func TestNamesAreCompleted(t *testing.T) {
	t.Parallel()
	db := users(t, 1)
	db.Exec(t, "SELECT bbm.enqueue('w', 'users', name => 'one'), bbm.enqueue('w', 'users', name => 'two')")
	got := on(t, db, "__complete", "pause", "")
	require.Contains(t, got.out, "two\none\n")
	got = on(t, db, "__complete", "enqueue", "")
	require.Contains(t, got.out, "execute_sql\t")
}
