package initialize_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/internal/control"
	"github.com/bbmd-dev/bbmd/internal/initialize"
	"github.com/bbmd-dev/bbmd/internal/pgserver"
	"github.com/bbmd-dev/bbmd/testing/pgstandby"
	"github.com/bbmd-dev/bbmd/testing/pgtest"
)

// absent makes the spec one of a database that is not there, whose name has to be quoted.
func (s *subject) absent(t *testing.T) {
	t.Helper()
	s.Database = s.Absent(t, " Absent")
	s.spec.URL = func() (string, error) { return s.URL, nil }
	s.spec.Connect = func(ctx context.Context, application, database string) (*pgx.Conn, error) {
		return connect(ctx, s.URL, application, database)
	}
}

func TestMissingDatabaseIsCreatedOnce(t *testing.T) {
	t.Parallel()
	s := newSubject(t)
	s.write(t, two)
	s.absent(t)

	f := s.inspect(t)
	require.Equal(t, initialize.Empty, f.State)
	require.True(t, f.Missing)
	require.Equal(t, initialize.KindPending, initialize.KindOf(initialize.Verify(t.Context(), s.spec)))
	_, err := initialize.Apply(t.Context(), s.spec)
	refused(t, err, initialize.RefusedMissing)

	const replicas = 4
	s.spec.Create = true
	plain := s.spec.URL
	s.spec.URL = func() (string, error) { // as Python services have it
		url, err := plain()
		return strings.Replace(url, "postgres://", "postgresql+asyncpg://", 1), err
	}
	var group sync.WaitGroup
	for range replicas {
		group.Go(func() {
			if _, err := initialize.Apply(t.Context(), s.spec); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	require.Equal(t, []int64{1, 2}, s.versions(t))
	require.Len(t, s.runs(t), 1)
}

func TestMissingDatabaseThatTheRoleMayNotCreate(t *testing.T) {
	t.Parallel()
	s := newSubject(t)
	s.write(t, two)
	role := s.role(t, "LOGIN")
	inner := s.spec.Connect
	s.spec.Connect = func(ctx context.Context, application, database string) (*pgx.Conn, error) {
		if database == "" {
			database = "absent_" + s.Name
		}
		return inner(ctx, application, database)
	}
	s.spec.Create = true

	_, err := initialize.Apply(t.Context(), s.spec)
	refusal := refused(t, err, initialize.RefusedPrivilege)
	require.Contains(t, refusal.WayOut, `ALTER ROLE "`+role+`" CREATEDB`)
	require.NotContains(t, err.Error(), "hush")
}

func TestUnreachableIsToldApart(t *testing.T) {
	t.Parallel()
	s := newSubject(t)
	s.write(t, two)
	s.spec.Connect = func(context.Context, string, string) (*pgx.Conn, error) { return nil, errors.New("no route") }
	for name, try := range map[string]func() error{
		"apply":   func() error { _, err := initialize.Apply(t.Context(), s.spec); return err },
		"inspect": func() error { _, err := initialize.Inspect(t.Context(), s.spec); return err },
		"verify":  func() error { return initialize.Verify(t.Context(), s.spec) },
		"stamp":   func() error { _, err := initialize.Stamp(t.Context(), s.spec, "1"); return err },
		"baseline": func() error {
			_, err := initialize.Baseline(t.Context(), s.spec, initialize.BaselineRequest{})
			return err
		},
	} {
		require.Equal(t, initialize.KindUnreachable, initialize.KindOf(try()), name)
	}
}

func TestMigrationsThatCannotBeRead(t *testing.T) {
	t.Parallel()
	s := newSubject(t)
	s.spec.Migrations += "/none"
	_, err := initialize.Apply(t.Context(), s.spec)
	require.Equal(t, initialize.KindConfig, initialize.KindOf(err), err)
	s.spec.Migrations = ""
	_, err = initialize.Apply(t.Context(), s.spec)
	require.Equal(t, initialize.KindConfig, initialize.KindOf(err), err)
	s.spec.Models.Path = "none.sql"
	_, err = initialize.Apply(t.Context(), s.spec)
	require.Equal(t, initialize.KindConfig, initialize.KindOf(err), err)
	require.Empty(t, s.tables(t))
}

func TestStandbyIsRefused(t *testing.T) {
	t.Parallel()
	server := pgtest.NewServer(t, pgserver.Options{Settings: map[string]string{"wal_level": "replica", "max_wal_senders": "4"}})
	db := server.NewEmpty(t)
	standby := pgstandby.New(t, server, "standby", nil)
	s := about(t, &pgtest.Database{Name: db.Name, URL: standby.URL(db.Name)})
	s.write(t, two)

	require.Equal(t, initialize.Empty, s.inspect(t).State)
	_, err := initialize.Apply(t.Context(), s.spec)
	refused(t, err, initialize.RefusedStandby)
}

// TestSessionThatIsNone has one where the mark is gone, as behind a pooler that hands out
// its sessions in turn, and one that is the other's as well, as behind one that hands out the last one again.
func TestSessionThatIsNone(t *testing.T) {
	t.Parallel()
	s := newSubject(t)
	conn, other := s.Conn(t), s.Conn(t)
	require.NoError(t, initialize.Pooled(t.Context(), s.spec, conn, other))
	refusal := refused(t, initialize.Pooled(t.Context(), s.spec, conn, conn), initialize.RefusedPooler)
	require.Contains(t, refusal.WayOut, "session mode")
}

func TestWorksInAControlSchemaOfAnotherName(t *testing.T) {
	t.Parallel()
	s := newSubject(t)
	s.write(t, two)
	s.spec.ControlSchema = "Ours here"
	s.spec.Development = true
	s.apply(t)
	require.Equal(t, initialize.ActNothing, s.apply(t).Action)
	s.Exec(t, "INSERT INTO users VALUES (1, 'a')")
	_, err := initialize.Recreate(t.Context(), s.spec, initialize.RecreateRequest{Token: "x"})
	require.NoError(t, err)
	runs, err := control.NewStore("Ours here").Runs(t.Context(), s.Conn(t), 9)
	require.NoError(t, err)
	require.Len(t, runs, 2)
	require.False(t, pgtest.One[bool](t, s.Database, "SELECT to_regnamespace('bbm') IS NOT NULL"))
}

func TestPasswordInAStatementThatFailsIsNotKept(t *testing.T) {
	t.Parallel()
	s := newSubject(t)
	s.write(t, map[string]string{"1_role.sql": up("ALTER ROLE nobody_" + s.Name + " Password 'hush-hush';")})
	_, err := initialize.Apply(t.Context(), s.spec)
	require.Equal(t, initialize.KindFailed, initialize.KindOf(err), err)
	require.NotContains(t, err.Error()+s.log.String()+pgtest.One[string](t, s.Database, "SELECT string_agg(r::text, '') FROM bbm.runs r"), "hush-hush")
	require.Contains(t, s.runs(t)[0].Log, "1_role.sql:2: the statement that failed: (not shown, as it holds a password)")
}

func TestSecretsStayOutOfErrorsAndLogs(t *testing.T) {
	t.Parallel()
	s := newSubject(t)
	s.write(t, map[string]string{"1_a.sql": up("SELECT 1/0;")})
	s.role(t, "LOGIN IN ROLE "+pgtest.Owner)
	_, err := initialize.Apply(t.Context(), s.spec)
	require.Error(t, err)
	for _, text := range []string{err.Error(), s.log.String(), pgtest.One[string](t, s.Superuser(t), "SELECT r::text FROM bbm.runs r")} {
		require.False(t, strings.Contains(text, "hush"), text)
	}
}
