package initialize_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/internal/catalog"
	"github.com/bbmd-dev/bbmd/internal/control"
	"github.com/bbmd-dev/bbmd/internal/initialize"
	"github.com/bbmd-dev/bbmd/testing/pgtest"
)

const twoTables = `CREATE TABLE users (id int PRIMARY KEY, name text NOT NULL);
CREATE TABLE orders (id int PRIMARY KEY, user_id int REFERENCES users);`

const someRows = `
INSERT INTO users SELECT i, 'user ' || i FROM generate_series(1, 500) i;
INSERT INTO orders SELECT i, i FROM generate_series(1, 500) i;`

// rows sums up the user's rows.
func (s *subject) rows(t *testing.T) catalog.Data {
	t.Helper()
	data, err := catalog.Fingerprint(t.Context(), s.Conn(t), catalog.Options{
		Exclude: []string{"bbm"}, VersionTables: []catalog.Name{{Schema: "public", Table: "goose_db_version"}},
	})
	require.NoError(t, err)
	return data
}

func TestUnversionedThatIsAsDeclaredIsStamped(t *testing.T) {
	t.Parallel()
	for name, declare := range map[string]func(*testing.T, *subject){
		"by migrations": func(*testing.T, *subject) {},
		"by models":     func(t *testing.T, s *subject) { t.Helper(); s.models(t, twoTables) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSubject(t)
			s.write(t, two)
			declare(t, s)
			s.Exec(t, twoTables+someRows)
			before := s.rows(t)
			require.Equal(t, initialize.Unversioned, s.inspect(t).State)

			result := s.apply(t)
			require.Equal(t, initialize.ActBaseline, result.Action)
			require.Equal(t, []string{"2"}, result.To)
			require.Equal(t, []int64{1, 2}, s.versions(t))
			require.Empty(t, before.Changes(s.rows(t)))
			require.Equal(t, []string{"goose_db_version", "orders", "users"}, s.tables(t))
			require.Equal(t, initialize.ActNothing, s.apply(t).Action)
			require.Equal(t, 2, pgtest.One[int](t, s.Database, "SELECT count(*) FROM bbm.applied"))
		})
	}
}

func TestUnversionedThatDiffersIsLeftAlone(t *testing.T) {
	t.Parallel()
	s := newSubject(t)
	s.write(t, two)
	s.Exec(t, "CREATE TABLE users (id int PRIMARY KEY, name varchar(50) NOT NULL); CREATE TABLE orders (id int PRIMARY KEY)")
	before := s.everything(t)

	_, err := initialize.Apply(t.Context(), s.spec)
	refusal := refused(t, err, initialize.RefusedDifferent)
	require.Contains(t, refusal.Difference, "name")
	require.Contains(t, refusal.Difference, "user_id")
	require.Contains(t, err.Error(), "bbmd baseline test --version VERSION")
	require.Equal(t, before, s.everything(t))

	d, err := initialize.Differences(t.Context(), s.spec)
	require.NoError(t, err)
	require.Equal(t, refusal.Difference, d.String())
	require.Equal(t, before, s.everything(t))
}

func TestBaselineVersionIsBelievedAndWhatComesAfterItIsRun(t *testing.T) {
	t.Parallel()
	s := newSubject(t)
	s.write(t, two)
	s.spec.Baseline = "1"
	s.Exec(t, "CREATE TABLE users (id int PRIMARY KEY, name varchar(50)); INSERT INTO users VALUES (1, 'a')")

	result := s.apply(t)
	require.Equal(t, initialize.ActBaseline, result.Action)
	require.Equal(t, []int64{1, 2}, s.versions(t))
	require.Equal(t, []string{"stamp", "migrate"}, []string{result.Steps[0].Does, result.Steps[1].Does})
	require.Equal(t, 1, pgtest.One[int](t, s.Database, "SELECT count(*) FROM users"))
	require.Len(t, s.runs(t), 1)
}

func TestBaselineOnlyStamps(t *testing.T) {
	t.Parallel()
	s := newSubject(t)
	s.write(t, two)
	s.Exec(t, twoTables+someRows)
	before := s.rows(t)

	result, err := initialize.Baseline(t.Context(), s.spec, initialize.BaselineRequest{Version: "1", Prove: true})
	require.NoError(t, err)
	require.Equal(t, []string{"1"}, result.To)
	require.Equal(t, []int64{1}, s.versions(t))
	require.Empty(t, before.Changes(s.rows(t)))
	require.Contains(t, s.runs(t)[0].Log, "1000 rows of 2 tables")

	_, err = initialize.Baseline(t.Context(), s.spec, initialize.BaselineRequest{})
	refused(t, err, initialize.RefusedState)
}

func TestBaselineInAnOddSchema(t *testing.T) {
	t.Parallel()
	s := newSubject(t)
	s.write(t, map[string]string{"1_a.sql": up(`CREATE SCHEMA "Odd one"; CREATE TABLE "Odd one"."T" (id int PRIMARY KEY); CREATE EXTENSION pg_trgm;`)})
	s.Exec(t, `CREATE SCHEMA "Odd one"; CREATE TABLE "Odd one"."T" (id int PRIMARY KEY); CREATE EXTENSION pg_trgm`)
	require.Equal(t, initialize.ActBaseline, s.apply(t).Action)
}

func TestModelsThatTakeAnExtensionForGranted(t *testing.T) {
	t.Parallel()
	s := newSubject(t)
	s.spec.Migrations = ""
	ddl := "CREATE TABLE t (id int PRIMARY KEY, name text); CREATE INDEX ON t USING gin (name gin_trgm_ops);"
	s.models(t, ddl)
	s.Exec(t, "CREATE EXTENSION pg_trgm; "+ddl)
	require.Equal(t, initialize.ActBaseline, s.apply(t).Action)
	require.Equal(t, initialize.ActNothing, s.apply(t).Action)
}

func TestExtensionsAloneAreEmpty(t *testing.T) {
	t.Parallel()
	s := newSubject(t)
	s.write(t, two)
	s.Superuser(t).Exec(t, "CREATE EXTENSION pg_stat_statements; CREATE EXTENSION hstore")
	require.Equal(t, initialize.Empty, s.inspect(t).State)
	s.apply(t)
	require.Equal(t, []int64{1, 2}, s.versions(t))
}

func TestModelsAlone(t *testing.T) {
	t.Parallel()
	s := newSubject(t)
	s.spec.Migrations = ""
	s.models(t, twoTables)

	require.Equal(t, initialize.ActCreate, s.apply(t).Action)
	require.Equal(t, []string{"orders", "users"}, s.tables(t))
	require.Equal(t, initialize.ActNothing, s.apply(t).Action)
	require.NoError(t, initialize.Verify(t.Context(), s.spec))

	s.models(t, twoTables+"\n-- a comment more\n")
	require.Equal(t, initialize.ActBaseline, s.apply(t).Action)
	require.Equal(t, initialize.ActNothing, s.apply(t).Action)

	s.models(t, twoTables+"CREATE TABLE more (id int);")
	_, err := initialize.Apply(t.Context(), s.spec)
	require.Contains(t, refused(t, err, initialize.RefusedDifferent).Difference, "more")
}

func TestRoleWithoutCreateDBIsToldSo(t *testing.T) {
	t.Parallel()
	s := newSubject(t)
	s.write(t, two)
	role := s.role(t, "LOGIN")
	s.Exec(t, "GRANT ALL ON SCHEMA public TO "+role+"; GRANT CREATE ON DATABASE "+s.Name+" TO "+role)
	s.Exec(t, "CREATE TABLE users (id int)")

	_, err := initialize.Apply(t.Context(), s.spec)
	require.Contains(t, refused(t, err, initialize.RefusedPrivilege).WayOut, "CREATEDB")
	require.Equal(t, []string{"users"}, s.tables(t))
}

func TestStampMendsWhatABaselineCannot(t *testing.T) {
	t.Parallel()
	s := newSubject(t)
	s.write(t, two)
	s.apply(t)
	s.Exec(t, "INSERT INTO goose_db_version (version_id, is_applied) VALUES (7, true); DELETE FROM goose_db_version WHERE version_id = 2")
	_, err := initialize.Apply(t.Context(), s.spec)
	refused(t, err, initialize.RefusedUnknown)

	_, err = initialize.Stamp(t.Context(), s.spec, "9")
	require.Equal(t, initialize.KindConfig, initialize.KindOf(err), err)
	result, err := initialize.Stamp(t.Context(), s.spec, "head")
	require.NoError(t, err)
	require.Equal(t, initialize.ActStamp, result.Action)
	require.Equal(t, initialize.ActNothing, s.apply(t).Action)
	require.Equal(t, "stamp", s.runs(t)[0].Action)
	require.Equal(t, control.OutcomeFinished, s.runs(t)[0].Outcome)
}

func TestStampRefusesWhatItCannotMean(t *testing.T) {
	t.Parallel()
	s := newSubject(t)
	s.write(t, two)
	_, err := initialize.Stamp(t.Context(), s.spec, "head")
	refused(t, err, initialize.RefusedState)
	require.Empty(t, s.tables(t))

	s.spec.Migrations = ""
	s.Exec(t, "CREATE TABLE django_migrations (id int PRIMARY KEY, app varchar(255) NOT NULL, name varchar(255) NOT NULL, applied timestamptz NOT NULL)")
	s.Exec(t, "INSERT INTO django_migrations VALUES (1, 'a', '0001_initial', now())")
	_, err = initialize.Stamp(t.Context(), s.spec, "x")
	require.Contains(t, refused(t, err, initialize.RefusedState).Reason, "only Django itself")
}

func TestStampForcesAToolWhoseFilesAreNotRead(t *testing.T) {
	t.Parallel()
	s := newSubject(t)
	s.spec.Migrations = ""
	s.Exec(t, "CREATE TABLE schema_migrations (version bigint PRIMARY KEY, dirty boolean NOT NULL); INSERT INTO schema_migrations VALUES (3, true); CREATE TABLE t ()")
	require.Equal(t, initialize.Dirty, s.inspect(t).State)

	_, err := initialize.Stamp(t.Context(), s.spec, "2")
	require.NoError(t, err)
	require.Equal(t, initialize.Versioned, s.inspect(t).State)
	require.Equal(t, "2 false", pgtest.One[string](t, s.Database, "SELECT version || ' ' || dirty FROM schema_migrations"))
}

func TestAmbiguousIsLeftAloneUntilSomebodySaysWhichCounts(t *testing.T) {
	t.Parallel()
	s := newSubject(t)
	s.write(t, two)
	s.apply(t)
	s.Exec(t, "CREATE TABLE alembic_version (version_num varchar(32) NOT NULL CONSTRAINT alembic_version_pkc PRIMARY KEY); INSERT INTO alembic_version VALUES ('a1')")
	before := s.everything(t)

	_, err := initialize.Apply(t.Context(), s.spec)
	refused(t, err, initialize.RefusedAmbiguous)
	require.Equal(t, before, s.everything(t))
	s.spec.History = "goose"
	require.Equal(t, initialize.ActNothing, s.apply(t).Action)
}
