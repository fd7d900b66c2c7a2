package dev_test

import (
	"net"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/internal/config"
	"github.com/bbmd-dev/bbmd/internal/dev"
)

const secret = "KJUAUZEYXYX7STPCL3SVHCFPPP"

func ownURL(database string) string {
	return "postgresql://postgres:" + secret + "@127.0.0.1:15432/" + database + "?sslmode=disable"
}

func TestWhichDatabasesAreOnThePrivateServer(t *testing.T) {
	t.Parallel()
	const stale = "postgres://postgres:" + secret + "@127.0.0.1:9999/auth?sslmode=disable"
	for name, test := range map[string]struct {
		content string
		environ []string
		private []string
		develop bool
		exports []string
	}{
		"nothing configured": {
			private: []string{"default"}, develop: true, exports: []string{"DATABASE_URL=" + ownURL("default")},
		},
		"no connection string": {
			content: "databases: {auth: {}, order-items: {}}", private: []string{"auth", "order-items"}, develop: true,
			exports: []string{"AUTH_DATABASE_URL=" + ownURL("auth"), "ORDER_ITEMS_DATABASE_URL=" + ownURL("order-items")},
		},
		"a variable that is not set": {
			content: `databases: {auth: {url: "${AUTH_DATABASE_URL}"}}`, private: []string{"auth"}, develop: true,
		},
		"that of an earlier server": {
			content: "databases: {auth: {}}", environ: []string{"AUTH_DATABASE_URL=" + stale}, private: []string{"auth"}, develop: true,
			exports: []string{"AUTH_DATABASE_URL=" + ownURL("auth")},
		},
		"the libpq variables": {
			content: "databases: {auth: {}}", environ: []string{"PGHOST=production.example.com"}, private: []string{"auth"}, develop: true,
		},
		"a connection string": {content: "databases: {auth: {url: postgres://h/auth}}"},
		"a variable":          {content: "databases: {auth: {}}", environ: []string{"AUTH_DATABASE_URL=postgres://h/auth"}},
		"of one of two": {
			content: "databases: {auth: {}, stock: {url: postgres://h/stock}}", private: []string{"auth"},
		},
		"development mode is chosen": {content: "{development_mode: false, databases: {auth: {}}}", private: []string{"auth"}},
		"a profile": {
			content: "{profile: one, profiles: {one: [auth]}, databases: {auth: {}, stock: {url: postgres://h/stock}}}", private: []string{"auth"}, develop: true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e, _ := project(t, test.content, test.environ...)
			placed, err := e.Place(15432, secret)
			require.NoError(t, err)
			require.ElementsMatch(t, test.private, placed.Private)
			require.Equal(t, test.develop, placed.Development)
			require.Subset(t, placed.Environ, test.exports)
		})
	}
}

func TestConnectionStringsNameADriver(t *testing.T) {
	t.Parallel()
	for driver, want := range map[string]string{
		"":        "AUTH_DATABASE_URL=postgresql://postgres:" + secret + "@127.0.0.1:15432/auth?sslmode=disable",
		"psycopg": "AUTH_DATABASE_URL=postgresql+psycopg://postgres:" + secret + "@127.0.0.1:15432/auth?sslmode=disable",
		"asyncpg": "AUTH_DATABASE_URL=postgresql+asyncpg://postgres:" + secret + "@127.0.0.1:15432/auth?ssl=disable",
	} {
		file := filepath.Join(t.TempDir(), "bbmd.yaml")
		require.NoError(t, os.WriteFile(file, []byte("databases: {auth: {}}"), 0o600))
		e, err := dev.New(dev.Options{Driver: &driver, Sources: config.Sources{File: file, Environ: []string{want}}})
		require.NoError(t, err)
		placed, err := e.Place(15432, secret)
		require.NoError(t, err)
		require.Contains(t, placed.Environ, want)
		require.Equal(t, []string{"auth"}, placed.Private, "also where the variable comes from an earlier time")
	}
	nonsense := "a/b"
	e, err := dev.New(dev.Options{State: t.TempDir(), Driver: &nonsense, Sources: config.Sources{Search: []string{}, Environ: []string{}}})
	require.NoError(t, err)
	_, _, err = e.Up(t.Context())
	require.ErrorContains(t, err, "--driver: it is not the name of a driver")
}

func TestDiscoveredServicesAreOnThePrivateServer(t *testing.T) {
	t.Parallel()
	e, dir := project(t, "discover: services")
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "services", "auth", "migrations"), 0o700))
	placed, err := e.Place(15432, secret)
	require.NoError(t, err)
	require.Equal(t, []string{"auth"}, placed.Private)
	require.Contains(t, placed.Environ, "BBMD_DATABASES__AUTH__SCHEMA__ON_START=verify", "files that are being written are not run by themselves")
}

func TestTheFingerprintIsOfTheConfiguration(t *testing.T) {
	t.Parallel()
	print := func(t *testing.T, port int, password, content string) string {
		t.Helper()
		e, _ := project(t, content)
		placed, err := e.Place(port, password)
		require.NoError(t, err)
		return placed.Fingerprint
	}
	const content = "databases: {auth: {}, stock: {url: postgres://h/stock}}"
	first := print(t, 15432, secret, content)
	require.Equal(t, first, print(t, 20000, "ANOTHERPASSWORDOFTHESERVER", content), "wherever the server is")
	require.NotEqual(t, first, print(t, 15432, secret, "databases: {auth: {}, stock: {url: postgres://h/other}}"))
	require.NotEqual(t, first, print(t, 15432, secret, "{background_migrations: {workers: 3}, databases: {auth: {}, stock: {url: postgres://h/stock}}}"))
}

func TestMistakesOfTheConfigurationAreSaid(t *testing.T) {
	t.Parallel()
	e, _ := project(t, "databases: {auth: {nonsense: 1}}")
	_, _, err := e.Up(t.Context())
	require.ErrorContains(t, err, "nonsense")
	require.False(t, e.Exists(), "nothing was made")
	_, err = e.Exports()
	require.Error(t, err)
}

func TestWithoutAServerThereAreNoConnectionStrings(t *testing.T) {
	t.Parallel()
	e, _ := project(t, "databases: {auth: {}}")
	_, err := e.Environ()
	require.ErrorIs(t, err, dev.ErrDown)
	_, err = e.Exports()
	require.ErrorIs(t, err, dev.ErrDown)
}

func TestTheStateLiesBesideTheProjectsFile(t *testing.T) {
	t.Parallel()
	here, err := os.Getwd()
	require.NoError(t, err)
	e, err := dev.New(dev.Options{Sources: config.Sources{File: "/etc/bbmd/bbmd.yaml"}})
	require.NoError(t, err)
	require.Equal(t, filepath.Join(here, ".bbmd", "dev"), e.Dir(), "the machine's is no project's")
	e, err = dev.New(dev.Options{State: "x"})
	require.NoError(t, err)
	require.Equal(t, filepath.Join(here, "x"), e.Dir())
}

func TestTakenPortsAreAvoided(t *testing.T) {
	t.Parallel()
	var config net.ListenConfig
	taken, err := config.Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { require.NoError(t, taken.Close()) }()
	for range 3 {
		probes, dashboard, err := dev.Vacant(t.Context(), taken.Addr().String(), taken.Addr().String())
		require.NoError(t, err)
		for _, address := range []string{probes, dashboard} {
			require.NotEqual(t, taken.Addr().String(), address)
			require.Regexp(t, `^127\.0\.0\.1:[1-9]\d*$`, address)
		}
	}
}
