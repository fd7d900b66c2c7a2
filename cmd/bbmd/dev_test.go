package main_test

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/internal/pgserver"
	"github.com/bbmd-dev/bbmd/testing/need"
	"github.com/bbmd-dev/bbmd/testing/pgtest"
)

func TestDev(t *testing.T) {
	t.Parallel()
	program := program(t)
	t.Run("a project with a private server", func(t *testing.T) {
		t.Parallel()
		d := newDeveloper(t, program)
		d.write("bbmd.yaml", "discover: services\nprofiles: {minimal: [auth]}\n")
		d.migration("auth", 1, "CREATE TABLE users (id bigint PRIMARY KEY);")
		d.migration("stock", 1, "CREATE TABLE goods (id bigint PRIMARY KEY);")
		for _, step := range []struct {
			name string
			do   func(*testing.T, *developer)
		}{
			{"interrupted", devInterrupted},
			{"up", devUp},
			{"killed", devKilled},
			{"a port is taken", devPortTaken},
			{"many at once", devAtOnce},
			{"schemas", devSchemas},
			{"clean", devClean},
		} {
			require.True(t, t.Run(step.name, func(t *testing.T) { //nolint:paralleltest // one chapter after the other
				chapter := *d
				chapter.t = t
				step.do(t, &chapter)
			}))
		}
	})
	t.Run("databases elsewhere", func(t *testing.T) {
		t.Parallel()
		devElsewhere(t, program)
	})
	t.Run("page", func(t *testing.T) {
		t.Parallel()
		devPage(t, program)
	})
	t.Run("scripts", func(t *testing.T) {
		t.Parallel()
		devScripts(t, program)
	})
}

// slowInstallation is a PostgreSQL whose initdb never ends by itself.
func slowInstallation(t *testing.T) string {
	t.Helper()
	dir := openDir(t)
	for name, does := range map[string]string{
		"postgres": "echo 'postgres (PostgreSQL) 17.2'", "initdb": "exec sleep 600", "pg_ctl": "exit 1",
	} {
		need.Executable(t, filepath.Join(dir, name), []byte("#!/bin/sh\n"+does+"\n"))
	}
	return dir
}

func devInterrupted(t *testing.T, d *developer) {
	t.Helper()
	r := d.run("dev", "status")
	require.Equal(t, 3, r.code)
	require.Equal(t, "bbmd: the environment is not up: run `bbmd dev up`\n", r.err)
	require.Equal(t, 69, d.run("dev", "migrate").code)
	require.Equal(t, "it was not up\n", d.do("dev", "down"))

	p := d.spawn([]string{pgserver.EnvBin + "=/nowhere"}, "dev", "up")
	require.Equal(t, 2, p.wait())
	require.Contains(t, p.err.String(), "/nowhere/postgres is not a program")

	slow := []string{pgserver.EnvBin + "=" + slowInstallation(t)}
	p = d.spawn(slow, "dev", "up")
	p.waitLog(`starting a private PostgreSQL`)
	keeper := d.status().Keeper
	require.Equal(t, "starting", keeper.Phase)
	d.kill(keeper.PID)
	require.Equal(t, 1, p.wait())
	require.Contains(t, p.err.String(), "has ended while it started")

	p = d.spawn(slow, "dev", "up")
	p.waitLog(`starting a private PostgreSQL`)
	p.signal(syscall.SIGINT)
	require.Equal(t, 130, p.wait())
	require.False(t, d.status().Up)
}

func devUp(t *testing.T, d *developer) {
	t.Helper()
	out := d.do("dev", "up", "--profile", "minimal")
	require.Regexp(t, `(?m)^PostgreSQL  \d+\S* on 127\.0\.0\.1:\d+, process \d+, data in \.bbmd/dev/postgres$`, out)
	require.Regexp(t, `(?m)^daemon      process \d+, started \S+, http://127\.0\.0\.1:\d+/readyz$`, out)
	require.Regexp(t, `(?m)^auth +EMPTY +migrated +1 +1 `, out)
	require.NotContains(t, out, "stock")
	require.Contains(t, out, `eval "$(bbmd dev env)"`)
	s := d.status()
	require.True(t, s.Up)
	require.True(t, s.Ready)
	require.False(t, s.Changed)
	require.Len(t, s.Databases, 1)
	require.True(t, s.Databases[0].Private)
	require.Equal(t, []string{"1"}, s.Databases[0].Finding.Current)
	session, err := os.ReadFile("/proc/" + strconv.Itoa(s.Keeper.PID) + "/stat")
	if err == nil { // Linux
		_, after, _ := strings.Cut(string(session), ") ")
		require.Equal(t, strconv.Itoa(s.Keeper.PID), strings.Fields(after)[3], "it is not in a session of its own, so it ends with the terminal")
	}
	require.Empty(t, d.ask("auth", "INSERT INTO users VALUES (1) RETURNING ''"))

	require.Contains(t, d.do("dev", "up", "--profile", "minimal"), "up to date")
	require.Equal(t, s.Keeper, d.status().Keeper, "nothing was started anew")
	require.Regexp(t, `(?m)^stock +EMPTY +migrated`, d.do("dev", "up"), "the other profile")
	require.NotEqual(t, s.Keeper.PID, d.status().Keeper.PID)
	require.Regexp(t, `(?m)^auth +private +VERSIONED +1$`, d.do("dev", "status"))

	d.write("bbmd.yaml", "discover: services\nprofiles: {minimal: [auth]}\nbackground_migrations: {workers: 3}\n")
	require.True(t, d.status().Changed)
	d.do("dev", "up")
	require.False(t, d.status().Changed)
}

func devKilled(t *testing.T, d *developer) {
	t.Helper()
	before := d.status().Keeper
	d.kill(before.Server.PID)
	require.Contains(t, d.do("dev", "up"), "up to date")
	after := d.status().Keeper
	require.Equal(t, before.PID, after.PID, "the keeper has started the server again")
	require.NotEqual(t, before.Server.PID, after.Server.PID)
	require.Equal(t, "1", d.ask("auth", "SELECT count(*)::text FROM users"))

	d.kill(after.PID)
	r := d.run("dev", "status")
	require.Equal(t, 3, r.code)
	require.Contains(t, r.out, "ended without a chance to stop in order")
	require.Equal(t, 69, d.run("dev", "env").code)
	require.Contains(t, d.do("dev", "up"), "up to date")
	require.Equal(t, "1", d.ask("auth", "SELECT count(*)::text FROM users"))
	d.gone(after.Server.PID)
}

func devPortTaken(t *testing.T, d *developer) {
	t.Helper()
	port := d.status().Keeper.Server.Port
	stale := d.url("auth")
	require.Contains(t, d.do("dev", "down"), "stopped: the data stays in .bbmd/dev")
	var config net.ListenConfig
	taken, err := config.Listen(t.Context(), "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	require.NoError(t, err)
	defer func() { require.NoError(t, taken.Close()) }()

	d.env = append(d.env, "AUTH_DATABASE_URL="+stale) // as of a shell that is still open
	r := d.run("dev", "up")
	require.Zero(t, r.code, r.err)
	require.Contains(t, r.out, fmt.Sprintf("port %d is taken", port))
	require.NotEqual(t, port, d.status().Keeper.Server.Port)
	require.Equal(t, "1", d.ask("auth", "SELECT count(*)::text FROM users"))
	d.do("dev", "down")
}

func devAtOnce(t *testing.T, d *developer) {
	t.Helper()
	all := []*process{d.spawn(nil, "dev", "up"), d.spawn(nil, "dev", "up"), d.spawn(nil, "dev", "up")}
	for _, p := range all {
		require.Zero(t, p.wait(), p.err.String())
		require.Regexp(t, `(?m)^stock +VERSIONED +up to date`, p.out.String())
	}
	pid := d.status().Keeper.PID
	for _, p := range all {
		require.Contains(t, p.out.String(), fmt.Sprintf("process %d, started", pid))
	}
}

func devSchemas(t *testing.T, d *developer) {
	t.Helper()
	d.migration("auth", 2, "CREATE TABLE nonsense (id nonsense);")
	require.Equal(t, 65, d.run("dev", "migrate", "auth").code)
	r := d.run("dev", "up")
	require.Equal(t, 65, r.code)
	require.Regexp(t, `(?m)^stock +VERSIONED +up to date`, r.out)
	d.do("dev", "down")
	r = d.run("dev", "up")
	require.Equal(t, 65, r.code)
	require.Contains(t, r.err, `type "nonsense" does not exist`)
	require.True(t, d.status().Up, "the rest is up")
	d.migration("auth", 2, "CREATE TABLE sessions (id bigint);")
	require.Regexp(t, `(?m)^auth +VERSIONED +migrated +1 +2 +1 `, d.do("dev", "migrate", "auth"))

	require.Equal(t, 2, d.run("dev", "reset").code, "without a word which")
	r = d.run("dev", "reset", "--database", "auth")
	require.Equal(t, 73, r.code)
	require.Contains(t, r.err, "say --yes")
	require.Regexp(t, `(?m)^auth +VERSIONED +recreated`, d.do("dev", "reset", "--database", "auth", "--yes"))
	require.Equal(t, "0", d.ask("auth", "SELECT count(*)::text FROM users"))
	require.Regexp(t, `(?s)auth +VERSIONED +recreated.*stock +VERSIONED +recreated`, d.do("dev", "reset", "--all", "--yes"))
	require.Empty(t, d.ask("stock", "SELECT coalesce(bbm.mark_production('the shop')::text, '')"))
	r = d.run("dev", "reset", "--database", "stock", "--yes")
	require.Equal(t, 73, r.code)
	require.Contains(t, r.err, "database stock is marked as production by postgres (the shop)")
}

func devClean(t *testing.T, d *developer) {
	t.Helper()
	require.Contains(t, d.do("dev", "logs"), "bbmd starts")
	require.Contains(t, d.do("dev", "logs", "--database", "auth", "-n", "1000"), "database up database=auth")
	require.NotContains(t, d.do("dev", "logs", "--database", "auth", "-n", "1000"), "database=stock")
	require.Contains(t, d.do("dev", "logs", "--postgres"), "database system is ready to accept connections")
	p := d.spawn(nil, "dev", "logs", "-f")
	p.waitOut(`bbmd starts`)
	d.do("dev", "down")
	p.waitOut(`bbmd stopped`)
	p.signal(syscall.SIGINT)
	require.Zero(t, p.wait())

	r := d.run("dev", "up")
	require.Equal(t, 73, r.code, "it is still marked as production")
	require.Contains(t, r.err, "marked as production")
	require.False(t, d.status().Up)
	require.Contains(t, d.run("dev", "status").out, "It did not come up: database stock is marked as production")

	require.Equal(t, 73, d.run("dev", "clean").code)
	require.Contains(t, d.do("dev", "clean", "--yes"), "removed .bbmd/dev")
	require.NoDirExists(t, filepath.Join(d.dir, ".bbmd"))
	require.Contains(t, d.do("dev", "clean", "--yes"), "there is nothing in .bbmd/dev")
}

// devElsewhere uses databases that have a connection string: there is no private server then.
func devElsewhere(t *testing.T, program string) {
	t.Helper()
	db := pgtest.NewEmpty(t)
	d := newDeveloper(t, program, "AUTH_DATABASE_URL="+db.URL)
	d.write("bbmd.yaml", "discover: services\n")
	d.migration("auth", 1, "CREATE TABLE users (id bigint PRIMARY KEY);")
	d.env = append(d.env, pgserver.EnvBin+"=/nowhere")

	foreground := d.spawn(nil, "dev", "up", "--foreground")
	foreground.waitOut(`Next: bbmd dev status`)
	require.Regexp(t, `(?m)^auth +EMPTY +migrated`, foreground.out.String())
	second := d.run("dev", "up", "--foreground")
	require.Equal(t, 75, second.code)
	require.Contains(t, second.err, "up already, process "+strconv.Itoa(foreground.Process.Pid))
	s := d.status()
	require.Nil(t, s.Keeper.Server)
	require.False(t, s.Databases[0].Private)
	require.Regexp(t, `(?m)^auth +postgres://`, d.do("dev", "status"))
	r := d.run("dev", "env")
	require.Contains(t, r.err, "all of them have connection strings already")
	r = d.run("dev", "reset", "--all", "--yes")
	require.Equal(t, 73, r.code)
	require.Contains(t, r.err, "development_mode is off")
	foreground.signal(syscall.SIGINT)
	require.Zero(t, foreground.wait())

	db.Exec(t, "SELECT bbm.mark_production()")
	d.migration("auth", 2, "DROP TABLE users;")
	r = d.run("dev", "up")
	require.Equal(t, 73, r.code)
	require.Contains(t, r.err, "marked as production")
	db.Exec(t, "SELECT FROM users") // it is still there
	db.Exec(t, "SELECT bbm.unmark_production()")

	d.env = append(d.env, "AUTH_DATABASE_URL=postgres://postgres@127.0.0.1:1/x")
	r = d.run("dev", "up")
	require.Equal(t, 69, r.code, r.err)
	require.Contains(t, r.err, "leave url out for a private one")
}
