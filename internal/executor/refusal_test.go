package executor_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/registry"
	"github.com/bbmd-dev/bbmd/testing/pgtest"
)

const (
	plain     = "CREATE TABLE t (id bigint PRIMARY KEY, n int NOT NULL DEFAULT 0); INSERT INTO t SELECT generate_series(1, 100)"
	composite = "CREATE TABLE t (a int, b text, n int NOT NULL DEFAULT 0, PRIMARY KEY (a, b)); INSERT INTO t SELECT i, i FROM generate_series(1, 100) i"
	keyless   = "CREATE TABLE t (id bigint NOT NULL, n int NOT NULL DEFAULT 0); INSERT INTO t SELECT generate_series(1, 100);"
)

// asked is a migration that somebody enqueues, with what can be wrong about it.
type asked struct {
	name    string        // m where it is empty
	create  string        // the table t
	work    registry.Work // bump where it is empty
	columns string        // of the INSERT, besides name, work and table
	values  string
	table   string // t where it is empty
	want    string // code, SQLSTATE and message: a regular expression
}

// What cannot run fails at once, and says why: on the row, in the log and in
// the view that people look at.
func TestWhatCannotRunSaysWhy(t *testing.T) {
	t.Parallel()
	checked := func(check func() error) registry.Work {
		w := bump
		w.Check = func(context.Context, registry.Querier, registry.Migration) error { return check() }
		return w
	}
	cases := map[string]asked{
		"no table":         {create: plain, table: "nowhere", want: "^1 table nowhere does not exist; create it, or correct table_name"},
		"no schema":        {create: plain, table: "nowhere.t", want: "^1 table nowhere.t does not exist"},
		"view":             {create: plain + "; CREATE VIEW v AS SELECT * FROM t", table: "v", want: "^1 c_.v is not a table"},
		"sequence":         {create: plain + "; CREATE SEQUENCE s", table: "s", want: "^1 c_.s is not a table"},
		"no column":        {create: plain, columns: "column_name", values: "'nope'", want: `^2 table c_.t has no column "nope"`},
		"system column":    {create: plain, columns: "column_name", values: "'ctid'", want: `^2 table c_.t has no column "ctid"`},
		"no primary key":   {create: keyless, want: "^2 table c_.t has no primary key; name the columns of a unique index"},
		"no index":         {create: keyless, columns: "column_name", values: "'id'", want: `^2 table c_.t has no usable unique index on \(id\)`},
		"not unique":       {create: keyless + "CREATE INDEX ON t (id)", columns: "column_name", values: "'id'", want: `^2 .*no usable unique index on \(id\)`},
		"partial index":    {create: keyless + "CREATE UNIQUE INDEX ON t (id) WHERE n = 0", columns: "column_name", values: "'id'", want: `^2 .*no usable unique index on \(id\)`},
		"hash index":       {create: keyless + "CREATE INDEX ON t USING hash (id)", columns: "column_name", values: "'id'", want: `^2 .*no usable unique index on \(id\)`},
		"other columns":    {create: composite, columns: "column_name", values: "'b,a'", want: `^2 .*no usable unique index on \(b, a\)`},
		"part of the key":  {create: composite, columns: "column_name", values: "'a'", want: `^2 .*no usable unique index on \(a\)`},
		"other collation":  {create: `CREATE TABLE t (id text COLLATE "C" NOT NULL, n int DEFAULT 0); CREATE UNIQUE INDEX ON t (id COLLATE "POSIX")`, columns: "column_name", values: "'id'", want: `^2 .*no usable unique index on \(id\)`},
		"other operators":  {create: `CREATE TABLE t (id text NOT NULL, n int DEFAULT 0); CREATE UNIQUE INDEX ON t (id text_pattern_ops)`, columns: "column_name", values: "'id'", want: `^2 .*no usable unique index on \(id\)`},
		"mixed directions": {create: "CREATE TABLE t (a int NOT NULL, b int NOT NULL, n int DEFAULT 0); CREATE UNIQUE INDEX ON t (a, b DESC)", columns: "column_name", values: "'a,b'", want: `^2 .*no usable unique index on \(a, b\)`},
		"nullable key":     {create: "CREATE TABLE t (id bigint UNIQUE, n int NOT NULL DEFAULT 0); INSERT INTO t VALUES (1)", columns: "column_name", values: "'id'", want: `^2 key column "id" of c_.t may be NULL`},
		"float key":        {create: "CREATE TABLE t (id float8 PRIMARY KEY, n int NOT NULL DEFAULT 0); INSERT INTO t VALUES (1)", want: `^2 key column "id" of c_.t has type double precision`},
		"money key":        {create: "CREATE TABLE t (id money PRIMARY KEY, n int NOT NULL DEFAULT 0); INSERT INTO t VALUES (1)", want: `^2 key column "id" of c_.t has type money`},
		"min above max":    {create: plain, columns: "min_value, max_value", values: "'50', '40'", want: "^2 min_value 50 is above max_value 40"},
		"malformed min":    {create: plain, columns: "min_value", values: "'5O'", want: `^2 .*min_value "5O" is not a value of the key: invalid input syntax for type bigint`},
		"malformed max":    {create: plain, columns: "max_value", values: "''", want: `^2 .*max_value "" is not a value of the key: invalid input syntax for type bigint`},
		"min out of range": {create: plain, columns: "min_value", values: "'99999999999999999999'", want: `^2 .*min_value "99999999999999999999" is not a value of the key: value "99999999999999999999" is out of range`},
		"composite min":    {create: composite, columns: "min_value", values: "'5'", want: `^2 min_value: `},
		"composite short":  {create: composite, columns: "min_value", values: `'["5"]'`, want: `^2 min_value: `},
		"composite type":   {create: composite, columns: "min_value", values: `'["x", "5"]'`, want: `^2 .*min_value .* is not a value of the key: invalid input syntax for type integer`},
		"no arguments":     {create: plain, columns: "arguments", values: `'{"a": 1}'`, want: `^3 arguments of bump: `},
		"SQL syntax":       {create: plain, work: sqlWork("UPDATE t SETT n = 1 WHERE :range"), want: "^3 42601 the statement of w_ is refused by the server: syntax error"},
		"SQL column":       {create: plain, work: sqlWork("UPDATE t SET nope = 1 WHERE :range"), want: `^3 42703 the statement of w_ is refused by the server: column "nope"`},
		"SQL table":        {create: plain, work: sqlWork("UPDATE other SET n = 1 WHERE :range"), want: `^3 42P01 the statement of w_ is refused by the server: relation "other" does not exist`},
		"SQL type":         {create: plain, work: sqlWork("UPDATE t SET n = 'x'::text WHERE :range"), want: `^3 42804 the statement of w_ is refused by the server: column "n" is of type integer`},
		"SQL COMMIT":       {create: plain, work: sqlWork("COMMIT -- :range"), want: "^3 statement of w_: .*begins with COMMIT"},
		"SQL CALL":         {create: plain, work: sqlWork("CALL p(:start, :end)"), want: "^3 statement of w_: .*begins with CALL"},
		"SQL DO":           {create: plain, work: sqlWork("DO $$ BEGIN COMMIT; END $$ -- :range"), want: "^3 statement of w_: .*begins with DO"},
		"two statements":   {create: plain, work: sqlWork("UPDATE t SET n = 1 WHERE :range; COMMIT"), want: "^3 statement of w_: .*second statement"},
		"start, end":       {create: composite, work: sqlWork("UPDATE t SET n = 1 WHERE a BETWEEN :start AND :end"), want: "^3 statement of w_: "},
		"check":            {create: plain, work: checked(func() error { return errors.New("there is no column to copy to") }), want: "^3 w_ cannot run: there is no column to copy to"},
		"check panics":     {create: plain, work: checked(func() error { panic("it is all wrong") }), want: "^3 .*it is all wrong"},
		"SQL panics": {create: plain, work: registry.Work{SQL: func(registry.Migration) (registry.Statement, error) {
			panic("it is all wrong")
		}}, want: "^3 .*it is all wrong"},
	}
	db := database(t)
	if db.Major(t) >= 18 {
		cases["key that has yet to be NOT NULL"] = asked{create: `CREATE TABLE t (id bigint UNIQUE, n int NOT NULL DEFAULT 0); INSERT INTO t VALUES (1), (NULL);
			ALTER TABLE t ADD CONSTRAINT later NOT NULL id NOT VALID`, columns: "column_name", values: "'id'", want: `^2 key column "id" of c_.t may be NULL`}
	}
	all := []registry.Work{bump}
	var inserts, names []string
	for name, c := range cases {
		// Each has a schema and perhaps a Work of its own.
		number := strconv.Itoa(len(names))
		c.name, c.table = name, cmp.Or(c.table, "c"+number+".t")
		if len(c.table) == 1 {
			c.table = "c" + number + "." + c.table
		}
		if c.work.Name != "" || c.work.SQL != nil {
			c.work.Name = "w" + number
			all = append(all, c.work)
		}
		db.Exec(t, "CREATE SCHEMA c"+number+"; SET search_path = c"+number+"; "+c.create)
		names, inserts = append(names, name), append(inserts, c.insert())
	}
	db.Exec(t, plain) // for statements that name no schema
	r := start(t, db, with(works(t, all...), workers(4), watch(never)))
	db.Exec(t, strings.Join(inserts, "; "))
	for _, name := range names {
		db.WaitFor(t, "SELECT status = 'failed' FROM bbm.progress WHERE name = $1", name)
		got := pgtest.One[string](t, db, "SELECT concat_ws(' ', failure_error_code, error_sqlstate, error_message) FROM "+migrationsTable+" WHERE name = $1", name)
		require.Regexp(t, strings.NewReplacer("c_.", `c\d+\.`, "w_", `w\d+`).Replace(cases[name].want), got, name)
		require.True(t, pgtest.One[bool](t, db, "SELECT status_reason = error_message FROM bbm.progress WHERE name = $1", name), name)
		require.True(t, pgtest.One[bool](t, db, "SELECT EXISTS (SELECT FROM bbm.transitions t JOIN bbm.progress p USING (name) WHERE name = $1 AND to_status = 'failed' AND t.reason = p.error_message)", name), name)
		message := pgtest.One[string](t, db, "SELECT error_message FROM bbm.progress WHERE name = $1", name)
		r.logs(strings.Trim(fmt.Sprintf("%q", message), `"`))
	}
}

func (c asked) insert() string {
	columns, values := "", ""
	if c.columns != "" {
		columns, values = ", "+c.columns, ", "+c.values
	}
	return fmt.Sprintf("INSERT INTO %s (name, job_signature_name, table_name%s) VALUES ('%s', '%s', '%s'%s)",
		migrationsTable, columns, cmp.Or(c.name, "m"), cmp.Or(c.work.Name, "bump"), cmp.Or(c.table, "t"), values)
}

// malformedIsUnknown is the first version whose to_regclass says of a malformed name what it says of a table that is not there.
const malformedIsUnknown = 16

func TestWhatIsNonsenseIsRefusedByTheTable(t *testing.T) {
	t.Parallel()
	db := database(t)
	db.Exec(t, plain)
	conn := db.Conn(t)
	for insert, want := range map[string]string{
		asked{columns: "batch_size", values: "0"}.insert():                        "batch_size_is_between_1_and_10_million",
		asked{columns: "batch_size", values: "10000001"}.insert():                 "batch_size_is_between_1_and_10_million",
		asked{columns: "parallelism", values: "0"}.insert():                       "parallelism_is_between_1_and_64",
		asked{columns: "parallelism", values: "65"}.insert():                      "parallelism_is_between_1_and_64",
		asked{columns: "max_attempts", values: "0"}.insert():                      "max_attempts_is_between_1_and_100",
		asked{columns: "arguments", values: "'[]'"}.insert():                      "arguments_are_a_json_object",
		asked{columns: "column_name", values: "''"}.insert():                      "column_name_is_null_or_not_empty",
		asked{columns: "status", values: "'running'"}.insert():                    `migration "m": a new migration is active or paused, not running`,
		asked{columns: "status", values: "'finished'"}.insert():                   `migration "m": a new migration is active or paused, not finished`,
		asked{columns: "min_batch_size, max_batch_size", values: "5, 4"}.insert(): "min_batch_size_is_between_1_and_max_batch_size",
		asked{columns: "target_duration", values: "'-1s'"}.insert():               "target_duration_is_not_negative",
		asked{columns: "max_quarantined", values: "-1"}.insert():                  "max_quarantined_is_not_negative",
		asked{table: `"t`}.insert():                                               `migration "m": "t is not a table's name: invalid name syntax`,
		asked{table: "a.b.c.d"}.insert():                                          `migration "m": a.b.c.d is not a table's name: improper relation name`,
		asked{table: "a.b.c"}.insert():                                            `migration "m": a.b.c is not a table's name: cross-database references`,
		"SELECT bbm.enqueue('bump', 'nowhere')":                                   `table "nowhere" does not exist`,
		"SELECT bbm.enqueue('bump', 't', column_name => 'a, id')":                 "table public.t has no column a",
		"SELECT bbm.enqueue('', 't', name => 'm')":                                "job_signature_name_is_not_empty",
		"SELECT bbm.enqueue('bump', 't', name => '')":                             "name_has_1_to_200_characters",
		"SELECT bbm.pause('m')":                                                   `there is no migration named "m"`,
		"SELECT bbm.retry('m')":                                                   `there is no migration named "m"`,
	} {
		if db.Major(t) >= malformedIsUnknown && strings.Contains(want, "invalid name syntax") {
			continue // it fails when it is to start
		}
		_, err := conn.Exec(t.Context(), insert)
		var pgErr *pgconn.PgError
		require.ErrorAs(t, err, &pgErr, insert)
		require.Contains(t, pgErr.Message, want, insert)
	}
	require.Zero(t, pgtest.One[int](t, db, "SELECT count(*) FROM "+migrationsTable))

	_, err := conn.Exec(t.Context(), "SELECT bbm.enqueue('bump', 't', paused => true)")
	require.NoError(t, err)
	_, err = conn.Exec(t.Context(), "SELECT bbm.enqueue('bump', 't')")
	require.ErrorContains(t, err, `there is a migration named "bump_t" already, and it is paused`)
	_, err = conn.Exec(t.Context(), "INSERT INTO "+migrationsTable+" (name, job_signature_name, table_name) VALUES ('bump_t', 'bump', 't')")
	require.ErrorContains(t, err, "name_is_taken_already")
}

// An unknown Work is not a failure: another replica may have it, or the next release.
func TestUnknownWorkWaitsForAReplicaThatHasIt(t *testing.T) {
	t.Parallel()
	db := database(t)
	db.Exec(t, plain)
	work := bump
	work.Name = "later"
	r := start(t, db, watch(never))
	enqueue(t, db, "later", "")
	waitsBecause(t, db, `unknown work "later"`)
	r.logs(`unknown work \"later\"`)
	require.Equal(t, "active", pgtest.One[string](t, db, "SELECT status FROM bbm.progress"))

	start(t, db, with(works(t, work), watch(never)))
	exactlyOnce(t, db)
	require.True(t, pgtest.One[bool](t, db, "SELECT status_reason IS NULL FROM bbm.progress"))
}

func TestUnknownDependencyIsWaitedFor(t *testing.T) {
	t.Parallel()
	db := database(t)
	db.Exec(t, plain+"; CREATE TABLE other (LIKE t INCLUDING ALL); INSERT INTO other SELECT * FROM t")
	start(t, db, watch(never))
	enqueue(t, db, "bump", "depends_on => '{first, second}'")
	waitsBecause(t, db, "waits for first (unknown), second (unknown) to finish")
	db.Exec(t, "SELECT bbm.enqueue('bump', 'other', name => 'first')")
	waitsBecause(t, db, "waits for second (unknown) to finish")
	db.Exec(t, "SELECT bbm.enqueue('bump', 'other', name => 'second', paused => true)")
	waitsBecause(t, db, "waits for second (paused) to finish")
	require.Zero(t, pgtest.One[int](t, db, "SELECT sum(n) FROM t"))
	db.Exec(t, "SELECT bbm.resume('second')")

	ends(t, db, "finished")
	onlyOnce(t, db)
}

// A table that the executor may not see is one migration's trouble, and keeps no other waiting.
func TestTableThatCannotBeLookedUpStopsNobodyElse(t *testing.T) {
	t.Parallel()
	db := database(t)
	db.Exec(t, plain)
	start(t, db, workers(1))
	db.Superuser(t).Exec(t, "SET session_replication_role = replica; "+ // no trigger looks
		"INSERT INTO "+migrationsTable+` (name, job_signature_name, table_name, priority) VALUES ('bad', 'bump', '"t', -1)`)
	db.Exec(t, "UPDATE "+migrationsTable+" SET priority = -2 WHERE name = 'bad'")
	enqueue(t, db, "bump", "")

	ends(t, db, "finished")
	onlyOnce(t, db)
	reason := "%invalid name syntax%"
	if db.Major(t) >= malformedIsUnknown {
		reason = "%does not exist%"
	}
	db.WaitFor(t, "SELECT status_reason LIKE $1 FROM bbm.progress WHERE name = 'bad'", reason)
}

// A migration that fails keeps nobody from the table, nor from a worker.
func TestFailedMigrationsStarveNobody(t *testing.T) {
	t.Parallel()
	db := database(t)
	db.Exec(t, plain)
	poison(t, db)
	bad := sqlWork("UPDATE t SET nope = 1 WHERE :range")
	start(t, db, with(works(t, bad, bump), workers(1), watch(never)))
	db.Exec(t, "BEGIN; SELECT bbm.enqueue('w', 't', name => 'bad' || i, priority => -i) FROM generate_series(1, 5) i; SELECT bbm.enqueue('bump', 't', name => 'm'); COMMIT")

	ends(t, db, "finished")
	onlyOnce(t, db)
	require.Equal(t, 5, pgtest.One[int](t, db, "SELECT count(*) FROM "+migrationsTable+" WHERE status = 'failed'"))
}
