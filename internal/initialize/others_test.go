package initialize_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/internal/initialize"
	"github.com/bbmd-dev/bbmd/testing/pgtest"
)

// stuckHalfWay is what golang-migrate leaves when its very first migration fails: its table, and nothing beside it.
const stuckHalfWay = "CREATE TABLE schema_migrations (version bigint PRIMARY KEY, dirty boolean NOT NULL); INSERT INTO schema_migrations VALUES (1, true)"

func TestAnotherToolsDirtyTableAloneIsNoEmptyDatabase(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*testing.T, *subject){
		"told by the files": func(*testing.T, *subject) {},
		"named":             func(_ *testing.T, s *subject) { s.spec.History = "goose" },
		"with a table":      func(_ *testing.T, s *subject) { s.spec.VersionTable = "public.goose_db_version" },
		"with models": func(t *testing.T, s *subject) {
			t.Helper()
			s.models(t, "CREATE TABLE a (); CREATE TABLE b ();")
		},
		"models alone": func(t *testing.T, s *subject) {
			t.Helper()
			s.models(t, "CREATE TABLE a (); CREATE TABLE b ();")
			s.spec.Migrations = ""
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSubject(t)
			s.write(t, two)
			change(t, s)
			s.Exec(t, stuckHalfWay)
			before := s.everything(t)

			_, err := initialize.Apply(t.Context(), s.spec)
			r := refused(t, err, initialize.RefusedDirty)
			require.Contains(t, r.Reason, "public.schema_migrations (golang-migrate, at 1): version 1 began and did not finish")
			require.Contains(t, r.WayOut, "migrate force VERSION")
			require.Contains(t, r.WayOut, "DROP TABLE public.schema_migrations")
			require.Equal(t, before, s.everything(t))

			s.Exec(t, "DROP TABLE schema_migrations")
			s.apply(t)
			require.Equal(t, initialize.ActNothing, s.apply(t).Action)
		})
	}
}

// migratedByAnother is what golang-migrate leaves when all went well.
const migratedByAnother = "CREATE TABLE schema_migrations (version bigint PRIMARY KEY, dirty boolean NOT NULL); INSERT INTO schema_migrations VALUES (2, false);"

func TestAnotherToolsDatabaseIsNotTakenOverUnasked(t *testing.T) {
	t.Parallel()
	for name, objects := range map[string]string{"nothing beside it": "", "the declared schema": two["00001_users.sql"] + two["00002_orders.sql"]} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSubject(t)
			s.write(t, two)
			s.Exec(t, migratedByAnother+objects)
			before := s.everything(t)

			_, err := initialize.Apply(t.Context(), s.spec)
			r := refused(t, err, initialize.RefusedAmbiguous)
			require.Contains(t, r.Reason, "are of goose, and the version table is another tool's: public.schema_migrations (golang-migrate, at 2)")
			_, err = initialize.Stamp(t.Context(), s.spec, "head")
			refused(t, err, initialize.RefusedAmbiguous)
			require.Equal(t, before, s.everything(t))

			s.spec.History = "goose"
			s.apply(t)
			require.Equal(t, []int64{1, 2}, s.versions(t))
			require.Equal(t, initialize.ActNothing, s.apply(t).Action)
		})
	}
}

func TestAlembicsOwnTableIsNotGuessed(t *testing.T) {
	t.Parallel()
	s := newSubject(t)
	for name, content := range map[string]string{
		"alembic.ini": "[alembic]\nscript_location = m\n", "m/env.py": "context.configure(version_table_schema='meta')\n",
		"m/versions/a1.py": "revision = 'a1'\ndown_revision = None\n",
	} {
		require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(s.dir, name)), 0o700))
		s.write(t, map[string]string{name: content})
	}
	s.models(t, "CREATE TABLE a ();")
	s.Exec(t, "CREATE SCHEMA meta")
	before := s.everything(t)
	_, err := initialize.Apply(t.Context(), s.spec)
	require.Contains(t, refused(t, err, initialize.RefusedState).WayOut, "version_table")
	require.Equal(t, before, s.everything(t))
	s.Exec(t, "CREATE TABLE a ()")
	_, err = initialize.Baseline(t.Context(), s.spec, initialize.BaselineRequest{Version: "head"})
	refused(t, err, initialize.RefusedState)
	_, err = initialize.Stamp(t.Context(), s.spec, "head")
	refused(t, err, initialize.RefusedState)

	s.spec.VersionTable = "meta.alembic_version"
	require.Equal(t, initialize.ActBaseline, s.apply(t).Action)
	require.Equal(t, "a1", pgtest.One[string](t, s.Database, "SELECT version_num FROM meta.alembic_version"))
	require.Equal(t, initialize.ActNothing, s.apply(t).Action)
	s.spec.VersionTable = ""
	require.Equal(t, initialize.ActNothing, s.apply(t).Action, "it is there now")
}

func TestNothingIsStampedWhereTwoToolsWereAtWorkAndNoneIsConfigured(t *testing.T) {
	t.Parallel()
	s := newSubject(t)
	s.spec.Migrations = ""
	s.Exec(t, migratedByAnother+"CREATE TABLE alembic_version (version_num varchar(32) NOT NULL CONSTRAINT alembic_version_pkc PRIMARY KEY); INSERT INTO alembic_version VALUES ('a1')")
	_, err := initialize.Stamp(t.Context(), s.spec, "3")
	require.Contains(t, refused(t, err, initialize.RefusedAmbiguous).WayOut, "version_table")
}
