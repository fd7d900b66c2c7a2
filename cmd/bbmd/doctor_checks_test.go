package main_test

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	main "github.com/bbmd-dev/bbmd/cmd/bbmd"
	"github.com/bbmd-dev/bbmd/internal/pgserver"
	"github.com/bbmd-dev/bbmd/testing/pgtest"
)

var update = flag.Bool("update", false, "write the golden files anew")

// golden compares text with a file in testdata.
func golden(t *testing.T, name, text string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		require.NoError(t, os.MkdirAll("testdata", 0o750))
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err, "go test -update writes it")
	require.Empty(t, cmp.Diff(string(want), text))
}

func TestDoctorGolden(t *testing.T) {
	t.Parallel()
	findings := []main.Finding{
		{Check: "configuration", Status: "ok", Detail: "bbmd.yaml"},
		{Database: "auth", Check: "reachable", Status: "ok", Detail: "database auth on db:5432 as bbmd, 12ms"},
		{
			Database: "auth", Check: "tables", Status: "warn", Detail: "triggers of public.users fire for each row: \x1b[2Jaudit",
			Why: "what they do, they do for every row that a batch changes", Hint: "see that they may",
		},
		{Database: "auth", Check: "migrations", Status: "fail", Detail: "migration m: table t has no primary key", Why: "it fails as soon as a worker looks at it", Hint: "cancel it"},
	}
	for name, asJSON := range map[string]bool{"doctor.txt": false, "doctor.json": true} {
		var out bytes.Buffer
		code, err := main.PrintFindings(&out, findings, asJSON)
		require.NoError(t, err)
		require.Equal(t, 2, code)
		golden(t, name, out.String())
	}
	for code, status := range map[int]string{0: "warn", 69: "fail"} {
		got, err := main.PrintFindings(&bytes.Buffer{}, []main.Finding{{Database: "auth", Check: "reachable", Status: status}}, false)
		require.NoError(t, err)
		require.Equal(t, code, got)
	}
}

func TestDoctorOfTimeouts(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t).Superuser(t)
	link, warnings := db.URL+"&statement_timeout=1s&lock_timeout=0", []string{"warn statement_timeout is 1s", "warn lock_timeout is 0"}
	if db.Major(t) >= 14 { // which has it
		link, warnings = link+"&idle_session_timeout=1min", append(warnings, "warn idle_session_timeout is 1m0s")
	}
	found, code := doctor(t, link)
	require.Equal(t, 0, code)
	require.Equal(t, warnings, found.details("time-outs"))

	db.Exec(t, fmt.Sprintf("ALTER DATABASE %s SET statement_timeout = '1s'; ALTER DATABASE %[1]s SET log_min_duration_statement = 0", db.Name))
	found, _ = doctor(t, db.URL)
	require.Equal(t, []string{"warn log_min_duration_statement is 0"}, found.details("time-outs"))
	db.Exec(t, fmt.Sprintf("ALTER DATABASE %s RESET log_min_duration_statement", db.Name))
	found, _ = doctor(t, db.URL)
	require.Contains(t, found.one(t, "time-outs").Detail, "statement_timeout 15s and lock_timeout 5s, whatever else is set: statement_timeout=1s of the database")
}

// What a role may not do with the tables of migrations, and what their owners did to them.
func TestDoctorOfTables(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	link := newRole(t, db)
	db.Exec(t, "SELECT bbm.grant_role('"+db.Name+"', 'worker')")
	db.Exec(t, `CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
		CREATE TABLE fine (id bigint PRIMARY KEY, n int); GRANT ALL ON fine TO PUBLIC;
		CREATE TABLE hidden (id bigint PRIMARY KEY, n int); GRANT ALL ON hidden TO PUBLIC; ALTER TABLE hidden ENABLE ROW LEVEL SECURITY;
		CREATE TABLE others (id bigint PRIMARY KEY, n int);
		CREATE TABLE readable (id bigint PRIMARY KEY, n int); GRANT SELECT ON readable TO PUBLIC;
		CREATE TABLE parts (id bigint PRIMARY KEY, n int) PARTITION BY RANGE (id); GRANT ALL ON parts TO PUBLIC;
		CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (1) TO (10);
		CREATE TRIGGER of_a_part BEFORE UPDATE ON parts_1 FOR EACH ROW EXECUTE FUNCTION f();
		CREATE TRIGGER of_a_statement AFTER UPDATE ON parts_1 FOR EACH STATEMENT EXECUTE FUNCTION f();
		CREATE TABLE whole (id bigint PRIMARY KEY, n int); GRANT ALL ON whole TO PUBLIC; ALTER TABLE whole REPLICA IDENTITY FULL;
		CREATE TABLE nameless (id bigint PRIMARY KEY, n int); GRANT ALL ON nameless TO PUBLIC; ALTER TABLE nameless REPLICA IDENTITY NOTHING;
		CREATE TABLE inserts (id bigint PRIMARY KEY, n int); GRANT ALL ON inserts TO PUBLIC; ALTER TABLE inserts REPLICA IDENTITY NOTHING;
		CREATE PUBLICATION changes FOR TABLE whole, nameless, fine; CREATE PUBLICATION new_rows FOR TABLE inserts WITH (publish = 'insert');
		CREATE TABLE idle (id bigint PRIMARY KEY, n int)`)
	for _, name := range []string{"fine", "hidden", "others", "readable", "parts", "whole", "nameless", "inserts"} {
		db.Exec(t, "SELECT bbm.enqueue('execute_sql', '"+name+`', '{"sql": "UPDATE `+name+` SET n = 1 WHERE :range"}', name => '`+name+"')")
	}
	found, code := doctor(t, link)
	require.Equal(t, 2, code)
	require.Equal(t, []string{
		"fail row security of hidden holds for this role",
		"fail nameless is published (changes) without a replica identity",
		"fail this role may not read others",
		"warn triggers of parts fire for each row: of_a_part",
		"warn this role may not write to readable",
		"warn whole is published (changes) with REPLICA IDENTITY FULL",
	}, found.details("tables"))
}

func TestDoctorOfMigrations(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	db.Exec(t, "CREATE TABLE t (id bigint PRIMARY KEY, n int); CREATE TABLE keyless (id bigint)")
	for name, arguments := range map[string]string{
		"a_fine":    `'execute_sql', 't', '{"sql": "UPDATE t SET n = 1 WHERE :range"}'`,
		"b_unknown": `'nobody_has_it', 't'`,
		"c_keyless": `'execute_sql', 'keyless', '{"sql": "UPDATE keyless SET id = 1 WHERE :range"}'`,
		"d_wrong":   `'execute_sql', 't', '{"sqll": "UPDATE t SET n = 1 WHERE :range"}'`,
		"e_over":    `'nobody_has_it', 't'`,
	} {
		db.Exec(t, "SELECT bbm.enqueue("+arguments+", name => '"+name+"', priority => ascii('"+name+"'))")
	}
	db.Exec(t, "SELECT bbm.cancel('e_over')")
	found, code := doctor(t, db.URL)
	require.Equal(t, 2, code)
	details := found.details("migrations")
	require.Len(t, details, 3, details)
	for i, prefix := range []string{"warn migration b_unknown: ", "fail migration c_keyless: ", "fail migration d_wrong: "} {
		require.True(t, strings.HasPrefix(details[i], prefix), details)
	}
	require.Contains(t, details[1], "no primary key")
}

func TestDoctorOfReplicasThatDiffer(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	db.Exec(t, "CREATE TABLE t (id bigint PRIMARY KEY, n int); INSERT INTO bbm.versions (version, oldest_compatible) VALUES (999, 1)")
	db.Exec(t, `SELECT bbm.enqueue('execute_sql', 't', '{"sql": "UPDATE t SET n = 1 WHERE :range"}', name => 'm')`)
	db.Exec(t, "UPDATE bbm.batched_background_migrations SET work_version = 77")
	listener := db.Conn(t)
	_, err := listener.Exec(t.Context(), "SET application_name = 'bbmd/listener'")
	require.NoError(t, err)
	found, code := doctor(t, db.URL)
	require.Equal(t, 0, code)
	details := found.details("replicas")
	require.Len(t, details, 2)
	require.Contains(t, details[0], "a newer bbmd has been here")
	require.Contains(t, details[1], "migration m began with version 77 of execute_sql")

	db.Exec(t, "DELETE FROM bbm.versions WHERE version = 999; UPDATE bbm.batched_background_migrations SET work_version = NULL")
	found, _ = doctor(t, db.URL)
	require.Contains(t, found.one(t, "replicas").Detail, "1 listening")

	for i, name := range []string{"bbmd/default@v1.2.0", "bbmd/default@v1.3.0"} {
		_, err := db.Conn(t).Exec(t.Context(), "SELECT set_config('application_name', $1, false)", name)
		require.NoError(t, err)
		found, _ = doctor(t, db.URL)
		if i == 0 {
			require.Contains(t, found.one(t, "replicas").Detail, "1 listening, of version v1.2.0")
		}
	}
	require.Contains(t, found.one(t, "replicas").Detail, "daemons of different versions are at work: v1.2.0, v1.3.0")
}

func TestDoctorOfCommitsThatWait(t *testing.T) {
	t.Parallel()
	db := pgtest.NewServer(t, pgserver.Options{}).New(t).Superuser(t)
	db.Exec(t, "ALTER SYSTEM SET synchronous_standby_names = 'nobody'")
	db.Exec(t, "SELECT pg_reload_conf()")
	db.WaitFor(t, "SELECT current_setting('synchronous_standby_names') = 'nobody'")
	found, code := doctor(t, db.URL)
	db.Exec(t, "ALTER SYSTEM RESET synchronous_standby_names") // or the database could not be dropped
	db.Exec(t, "SELECT pg_reload_conf()")
	db.WaitFor(t, "SELECT current_setting('synchronous_standby_names') = ''")
	require.Equal(t, 2, code)
	require.Equal(t, []string{"fail synchronous_standby_names is set (nobody) and no such standby is connected"}, found.details("commits"))
}

func TestDoctorJudges(t *testing.T) {
	t.Parallel()
	detail, err := main.JudgeSkew(-time.Second, time.Millisecond)
	require.NoError(t, err)
	require.Equal(t, "the server's is within 1.001s of the one here", detail)
	_, err = main.JudgeSkew(-90*time.Second, time.Second)
	require.EqualError(t, err, "the server's clock is 1m30s behind of the one here")
	_, err = main.JudgeSkew(3*time.Second, 2*time.Second)
	require.NoError(t, err, "it may be the way there")

	const gigabyte = 1 << 30
	_, err = main.JudgeVolume(20*gigabyte, 100*gigabyte, 10*gigabyte)
	require.NoError(t, err)
	_, err = main.JudgeVolume(20*gigabyte, 100*gigabyte, 30*gigabyte)
	require.ErrorContains(t, err, "the tables of open migrations have")
	_, err = main.JudgeVolume(9*gigabyte, 100*gigabyte, 0)
	require.Error(t, err)

	require.Empty(t, main.JudgeSlot("s", false, gigabyte))
	require.ErrorContains(t, main.JudgeSlot("s", false, 2*gigabyte)[0], "nobody reads from it")
	require.ErrorContains(t, main.JudgeSlot("s", true, 2*gigabyte)[0], "behind")

	require.Equal(t, "direct", main.KindOfConnection(7, 7, false))
	require.Contains(t, main.KindOfConnection(7, 8, false), "through a pooler in session mode")
	require.Equal(t, "direct; events come another way (listen_url)", main.KindOfConnection(7, 7, true))

	require.Empty(t, main.JudgeTimeouts(map[string]time.Duration{"lock_timeout": time.Second, "log_min_duration_statement": -1}))
}

// The directory of another server, of the same name here, tells nothing.
func TestDoctorKnowsAServersOwnDirectory(t *testing.T) {
	t.Parallel()
	dir, began := t.TempDir(), time.Now()
	require.Error(t, main.SameServer(dir, began))
	file := filepath.Join(dir, "postmaster.pid")
	for text, fits := range map[string]bool{
		fmt.Sprintf("1\n/dir\n%d\n5432\n", began.Unix()):     true,
		fmt.Sprintf("1\n/dir\n%d\n5432\n", began.Unix()-100): false,
		"1\n/dir\n":       false,
		"1\n/dir\nsoon\n": false,
	} {
		require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
		require.Equal(t, fits, main.SameServer(dir, began) == nil, text)
	}
}
