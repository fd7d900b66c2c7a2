package main_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/daemon"
	"github.com/bbmd-dev/bbmd/testing/pgtest"
)

func TestDryRunCommand(t *testing.T) {
	t.Parallel()
	db := users(t, 20_000)
	db.Exec(t, "CREATE INDEX users_n ON users (n)")
	require.Zero(t, on(t, db, "enqueue", "execute_sql", "users", "--name", "m", "--set", addOne).code)

	got := on(t, db, "dry-run", "m", "--batches", "4", "--batch-size", "500")
	require.Zero(t, got.code, got.err)
	for _, line := range []string{
		`^m  execute_sql on public.users along id\n`, `\n  UPDATE users SET n = n \+ 1 WHERE :range\n`, `Index Scan using users_pkey on users`,
		`\n  ok    plan: a batch finds its rows through the index users_pkey\n`,
		`\n  warn  indexes: users_n covers what the statement writes \(n\), so that every updated row writes to all of the table's 2 indexes; drop`,
		`\nAFTER +KEYS +ROWS +TIME +LOOK-UP +WAL/ROW +HOT\nthe start +500 +500 +\d`,
		`\n  rows left   about 20,000\n  batches     of 500 keys, by 1 worker at a time\n  duration    .* at full speed\n`,
		`\nEvery trial was rolled back. 2,000 dead row versions stay, for vacuum to remove.\n$`,
	} {
		require.Regexp(t, line, got.out)
	}
	require.Equal(t, "active 0", pgtest.One[string](t, db, "SELECT (SELECT status FROM bbm.progress) || ' ' || (SELECT count(*) FROM users WHERE n <> 0)"))

	db.Exec(t, "VACUUM ANALYZE users")
	got = on(t, db, "dry-run", "execute_sql", "users", "--set", "sql=DELETE FROM users WHERE :range", "--batches", "2", "--max", "10000", "--parallelism", "9", "-o", "json")
	require.Zero(t, got.code, got.err)
	report := decode[daemon.DryRunReport](t, got.out)
	require.Len(t, report.Batches, 2)
	require.InDelta(t, 10_000, report.Forecast.Keys, 1000)
	require.Equal(t, 2, report.Forecast.Workers, "as many as the configuration has")
	require.Equal(t, 20_000, pgtest.One[int](t, db, "SELECT count(*) FROM users"))
	require.Zero(t, on(t, db, "dry-run", "m", "--batches", "0").code)
}

func TestDryRunCommandsExitCodes(t *testing.T) {
	t.Parallel()
	db := users(t, 100)
	require.Zero(t, on(t, db, "enqueue", "execute_sql", "users", "--name", "m", "--set", addOne).code)
	for name, test := range map[string]struct {
		args []string
		code int
		want string
	}{
		"nobody":     {[]string{"mm"}, 2, `there is no migration named "mm", did you mean "m"?`},
		"flag":       {[]string{"m", "--max", "3"}, 2, `--max: migration "m" has been enqueued as it is`},
		"batches":    {[]string{"m", "--batches", "-1"}, 2, "--batches: from 0 to 1000"},
		"size":       {[]string{"m", "--batch-size", "-1"}, 2, "--batch-size: from 1"},
		"work":       {[]string{"execute_sgl", "users"}, 2, `unknown work "execute_sgl", did you mean "execute_sql"?`},
		"arguments":  {[]string{"execute_sql", "users", "--set", "x"}, 2, "--set x: write key=value"},
		"statement":  {[]string{"execute_sql", "users", "--set", "sql=UPDATE users SET m = 1 WHERE :range"}, 65, `the migration would fail: execute_sql cannot run: plan the statement: ERROR: column "m"`},
		"table":      {[]string{"execute_sql", "usrs", "--set", addOne}, 65, "table usrs does not exist"},
		"batch":      {[]string{"execute_sql", "users", "--set", "sql=UPDATE users SET n = 1 / (id - 5) WHERE :range"}, 65, "the migration would fail"},
		"no table":   {[]string{}, 2, "accepts between 1 and 2 arg(s)"},
		"completion": {[]string{"--nonsense"}, 2, "unknown flag"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := on(t, db, append([]string{"dry-run"}, test.args...)...)
			require.Equal(t, test.code, got.code, got.err)
			require.Contains(t, got.err, test.want)
		})
	}
	require.Contains(t, on(t, db, "dry-run", "execute_sql", "users", "--set", "sql=UPDATE users SET n = 1 / (id - 5) WHERE :range").out,
		"fail  batch: keys up to 100: division by zero (SQLSTATE 22012); mend it first")
	require.Regexp(t, `(?s)^m\n.*execute_sql\t`, on(t, db, "__complete", "dry-run", "").out)
}
