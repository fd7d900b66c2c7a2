package initialize_test

import (
	"context"
	"database/sql"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/pressly/goose/v3"
	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/internal/history"
	"github.com/bbmd-dev/bbmd/internal/initialize"
	"github.com/bbmd-dev/bbmd/testing/pgtest"
)

func TestGooseRunsEveryKindOfMigration(t *testing.T) {
	t.Parallel()
	b := bring(t)
	b.write(t, map[string]string{
		// As pg_dump begins: what comes after has to find its session as it was, and goose its table.
		"00001_dump.sql": up("SET lock_timeout = 0;\nSELECT pg_catalog.set_config('search_path', '', false);\nCREATE TABLE public.account (id int PRIMARY KEY, email text);"),
		"00002_function.sql": up("-- +goose StatementBegin\nCREATE FUNCTION twice(n int) RETURNS int LANGUAGE plpgsql AS $$\nBEGIN\n  RETURN 2 * n;\nEND $$;\n-- +goose StatementEnd\n" +
			"CREATE TABLE limits AS SELECT current_setting('lock_timeout') AS lock_timeout, current_setting('statement_timeout') AS statement_timeout, current_setting('application_name') AS application_name;"),
		"00003_index.sql": upOutside("CREATE INDEX CONCURRENTLY account_email ON account (email);\nCREATE INDEX CONCURRENTLY account_lower ON account (lower(email));"),
	})
	b.spec.Limits.StatementTimeout = 90 * time.Second
	b.spec.HistoryOptions.Go = []*goose.Migration{
		goose.NewGoMigration(4, &goose.GoFunc{RunTx: func(ctx context.Context, tx *sql.Tx) error {
			_, err := tx.ExecContext(ctx, "INSERT INTO account SELECT n, n || '@x' FROM generate_series(1, 10) n")
			return err
		}}, nil),
		goose.NewGoMigration(5, &goose.GoFunc{RunDB: func(ctx context.Context, db *sql.DB) error {
			_, err := db.ExecContext(ctx, "VACUUM account")
			return err
		}}, nil),
	}
	require.NoError(t, b.run(t))
	require.Equal(t, []int64{1, 2, 3, 4, 5}, b.versions(t))
	require.Equal(t, []string{"started 1", "done 1", "started 2", "done 2", "started 3", "done 3", "started 4", "done 4", "started 5", "done 5"}, b.heard())
	require.Equal(t, []string{"200ms 90s " + initialize.ApplicationName("test")},
		pgtest.Column[string](t, b.Database, "SELECT lock_timeout || ' ' || replace(statement_timeout, '1min 30s', '90s') || ' ' || application_name FROM limits"))
	require.Equal(t, int64(10), pgtest.One[int64](t, b.Database, "SELECT count(*) FROM account"))

	require.NoError(t, b.run(t))
	require.Len(t, b.heard(), 10, "a second run has nothing to do")
}

func TestGooseSaysWhereAMigrationFails(t *testing.T) {
	t.Parallel()
	b := bring(t)
	b.write(t, map[string]string{
		"00001_a.sql": up("CREATE TABLE a (id int);"),
		"00002_b.sql": up("CREATE TABLE b (id int);\n\n-- a word on it\nALTER TABLE a\n  ADD COLUMN id2 int,\n  ADD COLUMN id int;\nSELECT 1;"),
		"00003_c.sql": up("CREATE TABLE c (id int);"),
	})
	err := b.run(t)
	step := failedStep(t, err)
	require.Equal(t, "2", step.Version)
	require.Equal(t, filepath.Join(b.dir, "00002_b.sql"), step.File)
	require.Equal(t, 5, step.Line, "where its statement begins: the server says no place for this one")
	require.Contains(t, step.SQL, "ADD COLUMN id2")
	var pg *pgconn.PgError
	require.ErrorAs(t, err, &pg)
	require.Equal(t, "42701", pg.Code)
	require.Contains(t, err.Error(), "00002_b.sql:5: ")
	require.NotContains(t, err.Error(), "partial migration")
	require.Equal(t, initialize.KindFailed, initialize.KindOf(err))
	require.Equal(t, []string{"a", "goose_db_version"}, b.tables(t))
	require.Equal(t, []string{"started 1", "done 1", "started 2"}, b.heard())
}

func TestGooseSaysTheLineOfWhatIsWrongInAStatement(t *testing.T) {
	t.Parallel()
	b := bring(t)
	b.write(t, map[string]string{"00001_a.sql": "-- +goose Up\r\nSELECT 'ümläut',\r\n  1,\r\n  nothing_of_the_kind;\r\n-- +goose Down\r\n"})
	require.Equal(t, 4, failedStep(t, b.run(t)).Line)
}

func TestGooseGetsOnAfterAFailureWasMended(t *testing.T) {
	t.Parallel()
	b := bring(t)
	b.write(t, map[string]string{"00001_a.sql": up("CREATE TABLE a (id int);"), "00002_b.sql": up("CREATE TABLE b (id nothing);")})
	require.Error(t, b.run(t))
	b.write(t, map[string]string{"00002_b.sql": up("CREATE TABLE b (id int);")})
	require.NoError(t, b.run(t))
	require.Equal(t, []int64{1, 2}, b.versions(t))
}

func TestGooseTakesNoticeOfAStepThatSomebodyElseApplied(t *testing.T) {
	t.Parallel()
	b := bring(t)
	b.write(t, map[string]string{"00001_a.sql": up("CREATE TABLE a (id int);"), "00002_b.sql": up("CREATE TABLE b (id int);")})
	require.NoError(t, b.run(t))
	b.write(t, map[string]string{"00003_c.sql": up("CREATE TABLE c (id int);")})
	files := b.files(t)
	err := initialize.RunSteps(t.Context(), b.spec, b.target, history.Goose, files, files.Steps()[1:], initialize.Watch{})
	require.NoError(t, err)
	require.Contains(t, b.said.String(), "2 is applied already")
	require.Equal(t, []int64{1, 2, 3}, b.versions(t))
}

func TestGooseKeepsItsTableWhereItIs(t *testing.T) {
	t.Parallel()
	b := bring(t)
	b.Exec(t, `CREATE SCHEMA "My Schema"; CREATE TABLE "My Schema"."goose.Versions" (id int PRIMARY KEY GENERATED BY DEFAULT AS IDENTITY, version_id bigint NOT NULL, is_applied boolean NOT NULL, tstamp timestamp NOT NULL DEFAULT now());
		INSERT INTO "My Schema"."goose.Versions" (version_id, is_applied) VALUES (0, true), (1, true)`)
	b.write(t, map[string]string{"00001_a.sql": up("CREATE TABLE a (id int);"), "00002_b.sql": up("CREATE TABLE b (id int);")})
	b.target.Table = history.Record{Tool: history.Goose, Schema: "My Schema", Table: "goose.Versions", Applied: []string{"1"}}
	require.NoError(t, b.run(t))
	require.Equal(t, []string{"b"}, b.tables(t))
	require.Equal(t, []int64{0, 1, 2}, pgtest.Column[int64](t, b.Database, `SELECT version_id FROM "My Schema"."goose.Versions" ORDER BY id`))
}

func TestGooseRefusesASearchPathToNowhere(t *testing.T) {
	t.Parallel()
	b := bring(t)
	b.Exec(t, "ALTER DATABASE "+b.Name+" SET search_path = nowhere")
	b.write(t, map[string]string{"00001_a.sql": up("CREATE TABLE a (id int);")})
	err := b.run(t)
	require.ErrorContains(t, err, "the search path leads to no schema")
	require.Equal(t, initialize.KindConfig, initialize.KindOf(err))

	b.spec.VersionTable = "public.versions"
	b.write(t, map[string]string{"00001_a.sql": up("CREATE TABLE public.a (id int);")})
	require.NoError(t, b.run(t))
	require.Equal(t, []string{"a", "versions"}, b.tables(t))
}

func TestGooseRefusesAFileThatChangesUnderTheRun(t *testing.T) {
	t.Parallel()
	b := bring(t)
	b.write(t, map[string]string{"00001_a.sql": up("CREATE TABLE a (id int);")})
	files := b.files(t)
	b.write(t, map[string]string{"00001_a.sql": up("CREATE TABLE b (id int);")})
	err := initialize.RunSteps(t.Context(), b.spec, b.target, history.Goose, files, files.Steps(), initialize.Watch{})
	require.ErrorContains(t, err, "00001_a.sql: it was changed since this run began")
	require.Empty(t, b.tables(t))
}

func TestGooseAppliesWhatWasChecked(t *testing.T) {
	t.Parallel()
	b := bring(t)
	b.write(t, map[string]string{"00001_a.sql": up("CREATE TABLE a (id int);")})
	files := b.files(t)
	edit := initialize.Watch{Started: func(context.Context, history.Step) error {
		b.write(t, map[string]string{"00001_a.sql": up("CREATE TABLE b (id int);")})
		return nil
	}}
	require.NoError(t, initialize.RunSteps(t.Context(), b.spec, b.target, history.Goose, files, files.Steps(), edit))
	require.Contains(t, b.tables(t), "a")
	require.NotContains(t, b.tables(t), "b")
}

func TestGooseEndsWithItsWatcher(t *testing.T) {
	t.Parallel()
	b := bring(t)
	b.write(t, map[string]string{"00001_a.sql": up("CREATE TABLE a (id int);")})
	files := b.files(t)
	lost := errors.New("the record cannot be written")
	err := initialize.RunSteps(t.Context(), b.spec, b.target, history.Goose, files, files.Steps(), initialize.Watch{
		Started: func(context.Context, history.Step) error { return lost },
	})
	require.ErrorIs(t, err, lost)
	require.NotContains(t, b.tables(t), "a")
}

func TestGooseSaysWhatAMigrationInGoSays(t *testing.T) {
	t.Parallel()
	b := bring(t)
	b.spec.HistoryOptions.Go = []*goose.Migration{goose.NewGoMigration(1, &goose.GoFunc{RunTx: func(context.Context, *sql.Tx) error {
		return errors.New("the file of countries is missing")
	}}, nil)}
	b.write(t, map[string]string{"00002_b.sql": up("CREATE TABLE b (id int);")})
	err := b.run(t)
	require.ErrorContains(t, err, "the file of countries is missing")
	require.Equal(t, "1", failedStep(t, err).Version)
}
