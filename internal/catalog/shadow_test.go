package catalog_test

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/internal/catalog"
	"github.com/bbmd-dev/bbmd/internal/pgserver"
	"github.com/bbmd-dev/bbmd/testing/pgtest"
)

// connector connects to the databases of a server, as a role of newRole when one is named.
func connector(t *testing.T, db *pgtest.Database, role string) catalog.Connect {
	t.Helper()
	return func(ctx context.Context, database string) (*pgx.Conn, error) {
		config, err := pgx.ParseConfig(db.URL)
		if err != nil {
			return nil, err
		}
		if role != "" {
			config.User, config.Password = role, "secret"
		}
		if database != "" {
			config.Database = database
		}
		return pgx.ConnectConfig(ctx, config)
	}
}

// inShadow runs a function that needs no context of its own.
func inShadow(t *testing.T, connect catalog.Connect, options catalog.ShadowOptions, run func(shadow *pgx.Conn) error) error {
	t.Helper()
	return catalog.Shadow(t.Context(), connect, options, func(_ context.Context, shadow *pgx.Conn) error { return run(shadow) })
}

// exists reports whether the server has a database of that name.
func exists(t *testing.T, db *pgtest.Database, name string) bool {
	t.Helper()
	return pgtest.One[bool](t, db, "SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)", name)
}

func TestShadowIsADatabaseOfItsOwn(t *testing.T) {
	t.Parallel()
	db := pgtest.NewEmpty(t).Superuser(t)
	db.Exec(t, "CREATE TABLE original (id int); ALTER DATABASE "+db.Name+` SET search_path = "Odd One", public; ALTER DATABASE `+db.Name+" SET statement_timeout = '3s'")
	db.Exec(t, "ALTER DATABASE "+db.Name+" SET my.setting = 'a b'; ALTER ROLE CURRENT_USER IN DATABASE "+db.Name+" SET my.setting = 'mine'")
	like := "SELECT format('%s %s %s', encoding, datcollate, datctype) FROM pg_database WHERE datname = current_database()"
	var name string
	err := inShadow(t, connector(t, db, ""), catalog.ShadowOptions{}, func(shadow *pgx.Conn) error {
		name = shadow.Config().Database
		require.True(t, exists(t, db, name))
		exec(t, shadow, `CREATE SCHEMA "Odd One"; CREATE TABLE made (id int)`)
		require.Equal(t, []string{`table "Odd One".made`}, identities(userObjects(t, shadow, catalog.Options{})))
		var locale, path, setting string
		require.NoError(t, shadow.QueryRow(t.Context(), like).Scan(&locale))
		require.Equal(t, pgtest.One[string](t, db, like), locale)
		require.NoError(t, shadow.QueryRow(t.Context(), "SELECT current_setting('search_path'), current_setting('my.setting')").Scan(&path, &setting))
		require.Equal(t, `"Odd One", public`, path)
		require.Equal(t, "mine", setting)
		return nil
	})
	require.NoError(t, err)
	require.Regexp(t, `^bbmd_shadow_\d{10}_[0-9a-f]{8}$`, name)
	require.False(t, exists(t, db, name))
}

func TestShadowHasTheLocaleOfTheDatabase(t *testing.T) {
	t.Parallel()
	server := pgtest.NewEmpty(t)
	kinds := map[string]string{"plain": "ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C'", "mixed": `ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'POSIX'`}
	version := pgtest.One[int](t, server, "SELECT current_setting('server_version_num')::int / 10000")
	if icu := pgtest.One[bool](t, server, "SELECT EXISTS (SELECT FROM pg_collation WHERE collprovider = 'i')"); icu && version >= 15 {
		kinds["icu"] = "ENCODING 'UTF8' LOCALE_PROVIDER icu ICU_LOCALE 'de-AT' LC_COLLATE 'C' LC_CTYPE 'C'"
		if version >= 16 {
			kinds["icu with rules"] = "ENCODING 'UTF8' LOCALE_PROVIDER icu ICU_LOCALE 'en' ICU_RULES '&a < ''q''' LC_COLLATE 'C' LC_CTYPE 'C'"
		}
	}
	if version >= 17 {
		kinds["builtin"] = "ENCODING 'UTF8' LOCALE_PROVIDER builtin BUILTIN_LOCALE 'C.UTF-8' LC_COLLATE 'C' LC_CTYPE 'C'"
	}
	for kind, options := range kinds {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			db := *pgtest.NewEmpty(t)
			at, err := url.Parse(db.URL)
			require.NoError(t, err)
			first := db
			db.Name += "_2"
			db.Exec(t, "CREATE DATABASE "+db.Name+" TEMPLATE template0 "+options)
			t.Cleanup(func() { first.Exec(background{t}, "DROP DATABASE "+db.Name+" WITH (FORCE)") })
			at.Path = db.Name
			db.URL = at.String()
			like := `SELECT (to_jsonb(d) - '{oid,datname,datacl,datfrozenxid,datminmxid}'::text[])::text FROM pg_database d WHERE datname = current_database()`
			require.NoError(t, inShadow(t, connector(t, &db, ""), catalog.ShadowOptions{}, func(shadow *pgx.Conn) error {
				var have string
				require.NoError(t, shadow.QueryRow(t.Context(), like).Scan(&have))
				require.JSONEq(t, pgtest.One[string](t, &db, like), have)
				return nil
			}))
		})
	}
}

func TestShadowIsDroppedWhateverHappens(t *testing.T) {
	t.Parallel()
	cause := errors.New("cause")
	for name, run := range map[string]func(ctx context.Context, cancel context.CancelFunc, shadow, other *pgx.Conn) error{
		"error": func(context.Context, context.CancelFunc, *pgx.Conn, *pgx.Conn) error { return cause },
		"panic": func(context.Context, context.CancelFunc, *pgx.Conn, *pgx.Conn) error { panic(cause) },
		"cancellation": func(ctx context.Context, cancel context.CancelFunc, shadow, _ *pgx.Conn) error {
			cancel()
			_, err := shadow.Exec(ctx, "SELECT 1")
			return errors.Join(cause, err)
		},
		"lost connection": func(ctx context.Context, _ context.CancelFunc, shadow, other *pgx.Conn) error {
			_, err := other.Exec(ctx, "SELECT pg_terminate_backend($1)", shadow.PgConn().PID())
			return errors.Join(cause, err)
		},
		"sessions at work": func(ctx context.Context, _ context.CancelFunc, shadow, other *pgx.Conn) error {
			_, err := shadow.Exec(ctx, "CREATE TABLE t (id int); BEGIN; LOCK TABLE t")
			_, err2 := other.Exec(ctx, "BEGIN; SELECT 1")
			return errors.Join(cause, err, err2)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := pgtest.NewEmpty(t)
			connect := connector(t, db, "")
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			var shadowName string
			var left *pgx.Conn
			err := unpanicked(func() error {
				return catalog.Shadow(ctx, connect, catalog.ShadowOptions{}, func(ctx context.Context, shadow *pgx.Conn) error {
					shadowName = shadow.Config().Database
					other, err := connect(ctx, shadowName)
					require.NoError(t, err)
					left = other
					return run(ctx, cancel, shadow, other)
				})
			})
			_ = left.Close(t.Context()) // it has been ended
			require.ErrorIs(t, err, cause)
			require.NotEmpty(t, shadowName)
			require.False(t, exists(t, db, shadowName))
		})
	}
}

// unpanicked returns what a function panics with as its error.
func unpanicked(do func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %w", p.(error)) //nolint:errcheck,forcetypeassert // it is ours
		}
	}()
	return do()
}

func TestShadowNeedsCreateDB(t *testing.T) {
	t.Parallel()
	db := pgtest.NewEmpty(t).Superuser(t)
	role := newRole(t, db)
	run := func(context.Context, *pgx.Conn) error { return nil }
	err := catalog.Shadow(t.Context(), connector(t, db, role), catalog.ShadowOptions{}, run)
	require.ErrorIs(t, err, catalog.ErrNoCreateDB)
	require.EqualError(t, err, "create a shadow database: role may not create databases: "+role+` lacks CREATEDB; a superuser can grant it with ALTER ROLE "`+role+`" CREATEDB`)

	// With it, a role that owns nothing else has a shadow of its own, without what only superusers may set.
	db.Exec(t, "ALTER ROLE "+role+" CREATEDB; ALTER DATABASE "+db.Name+" SET session_replication_role = replica; ALTER DATABASE "+db.Name+" SET work_mem = '5MB'")
	err = inShadow(t, connector(t, db, role), catalog.ShadowOptions{}, func(shadow *pgx.Conn) error {
		exec(t, shadow, "CREATE SCHEMA app; CREATE TABLE t (id int)")
		var settings string
		require.NoError(t, shadow.QueryRow(t.Context(), "SELECT current_setting('session_replication_role') || ' ' || current_setting('work_mem')").Scan(&settings))
		require.Equal(t, "origin 5MB", settings)
		return nil
	})
	require.NoError(t, err)
}

func TestShadowWithExtensions(t *testing.T) {
	t.Parallel()
	db := pgtest.NewEmpty(t).Superuser(t)
	extend(t, db)
	// An extension that nobody can install.
	db.Exec(t, "CREATE SCHEMA odd; UPDATE pg_extension SET extname = 'bbmd nowhere' WHERE extname = 'plpgsql'")
	shipped := pgtest.Column[string](t, db, "SELECT format('%s %s', extname, extnamespace::regnamespace) FROM pg_extension WHERE extname <> 'bbmd nowhere' ORDER BY 1")
	list := "SELECT format('%s %s', extname, extnamespace::regnamespace) FROM pg_extension WHERE extname <> 'plpgsql' ORDER BY 1"
	cause := errors.New("cause")
	run := func(want []string) func(ctx context.Context, shadow *pgx.Conn) error {
		return func(ctx context.Context, shadow *pgx.Conn) error {
			rows, err := shadow.Query(ctx, list)
			require.NoError(t, err)
			have, err := pgx.CollectRows(rows, pgx.RowTo[string])
			require.NoError(t, err)
			require.ElementsMatch(t, want, have)
			return cause
		}
	}
	err := catalog.Shadow(t.Context(), connector(t, db, ""), catalog.ShadowOptions{Extensions: true}, run(shipped))
	require.ErrorIs(t, err, cause)
	require.ErrorContains(t, err, "the shadow database lacks extensions that could not be created in it: bbmd nowhere: ")
	err = catalog.Shadow(t.Context(), connector(t, db, ""), catalog.ShadowOptions{}, run(nil))
	require.EqualError(t, err, "cause")
}

func TestShadowOfATemplate(t *testing.T) {
	t.Parallel()
	db, template := pgtest.NewEmpty(t), pgtest.NewEmpty(t)
	template.Exec(t, "CREATE TABLE declared (id int)")
	err := inShadow(t, connector(t, db, ""), catalog.ShadowOptions{Template: template.Name}, func(shadow *pgx.Conn) error {
		exec(t, shadow, "INSERT INTO declared VALUES (1)")
		return nil
	})
	require.NoError(t, err)

	err = inShadow(t, connector(t, db, ""), catalog.ShadowOptions{Template: "bbmd nowhere"}, func(*pgx.Conn) error { return nil })
	require.ErrorContains(t, err, `create a shadow database: ERROR: template database "bbmd nowhere" does not exist`)
}

func TestShadowClearsUpAfterCrashes(t *testing.T) {
	t.Parallel()
	db := pgtest.NewServer(t, pgserver.Options{}).NewEmpty(t) // nobody else clears up there
	suffix := "_" + pgtest.One[string](t, db, "SELECT substr(md5(current_database()), 1, 8)")
	now := pgtest.One[string](t, db, "SELECT lpad(extract(epoch FROM now())::bigint::text, 10, '0')")
	old, used, young, other := "bbmd_shadow_1000000000"+suffix, "bbmd_shadow_1000000001"+suffix, "bbmd_shadow_"+now+suffix, "bbmd_shadow_mine"+suffix
	for _, name := range []string{old, used, young, other} {
		db.Exec(t, "CREATE DATABASE "+name)
		t.Cleanup(func() { db.Exec(background{t}, "DROP DATABASE IF EXISTS "+name+" WITH (FORCE)") })
	}
	user, err := connector(t, db, "")(t.Context(), used)
	require.NoError(t, err)
	defer user.Close(t.Context()) //nolint:errcheck // the test is over

	require.NoError(t, inShadow(t, connector(t, db, ""), catalog.ShadowOptions{}, func(*pgx.Conn) error {
		require.False(t, exists(t, db, old))
		return nil
	}))
	require.True(t, exists(t, db, used), "somebody is connected")
	require.True(t, exists(t, db, young), "its process may be alive")
	require.True(t, exists(t, db, other), "it is no shadow")
}

func TestShadowsInParallel(t *testing.T) {
	t.Parallel()
	db := pgtest.NewEmpty(t)
	t.Run("group", func(t *testing.T) {
		for range 4 {
			t.Run("one", func(t *testing.T) {
				t.Parallel()
				require.NoError(t, inShadow(t, connector(t, db, ""), catalog.ShadowOptions{}, func(shadow *pgx.Conn) error {
					exec(t, shadow, "CREATE TABLE t (id int)")
					return nil
				}))
			})
		}
	})
}

func TestShadowSaysThatItCannotConnect(t *testing.T) {
	t.Parallel()
	cause := errors.New("no way")
	err := catalog.Shadow(t.Context(), func(context.Context, string) (*pgx.Conn, error) { return nil, cause }, catalog.ShadowOptions{}, nil)
	require.ErrorIs(t, err, cause)
	require.EqualError(t, err, "create a shadow database: connect: no way")
}
