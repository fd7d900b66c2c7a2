package initialize_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/internal/catalog"
	"github.com/bbmd-dev/bbmd/internal/control"
	"github.com/bbmd-dev/bbmd/internal/history"
	"github.com/bbmd-dev/bbmd/internal/initialize"
)

// linear is a history of numbered files, 1 to n, as goose has them.
type linear struct {
	tool  history.Tool
	steps []history.Step
}

func files(tool history.Tool, n int) linear {
	l := linear{tool: tool}
	for i := range n {
		version := fmt.Sprint(i + 1)
		l.steps = append(l.steps, history.Step{Version: version, File: "m/" + version + ".sql", Transactional: true, Checksum: "sum" + version})
	}
	return l
}

func (l linear) Tool() history.Tool    { return l.tool }
func (l linear) Dir() string           { return "m" }
func (l linear) Steps() []history.Step { return l.steps }
func (l linear) Heads() []string {
	if len(l.steps) == 0 {
		return nil
	}
	return []string{l.steps[len(l.steps)-1].Version}
}

func (l linear) at(version string) int {
	return slices.IndexFunc(l.steps, func(s history.Step) bool { return s.Version == version })
}

func (l linear) Resolve(version string) ([]string, error) {
	if l.at(version) < 0 {
		return nil, errors.New("there are 1 to n")
	}
	return []string{version}, nil
}

func (l linear) Until(heads []string) ([]history.Step, error) {
	if len(heads) == 0 {
		return nil, nil
	}
	return l.steps[:l.at(heads[0])+1], nil
}

func (l linear) Compare(applied []string) history.Comparison {
	var c history.Comparison
	newest := -1
	for _, version := range applied {
		if at := l.at(version); at < 0 {
			c.Unknown = append(c.Unknown, version)
		} else {
			newest = max(newest, at)
		}
	}
	for i, step := range l.steps {
		if !slices.Contains(applied, step.Version) {
			c.Pending = append(c.Pending, step)
			if i < newest {
				c.Late = append(c.Late, step)
			}
		}
	}
	c.Ahead = len(c.Unknown) > 0 && len(c.Pending) == 0
	return c
}

func (l linear) Stamp(context.Context, pgx.Tx, history.Place, []string) error {
	return errors.ErrUnsupported
}

func record(tool history.Tool, table string, applied ...string) history.Record {
	r := history.Record{Tool: tool, Schema: "public", Table: table, Applied: applied, Remedy: "force it"}
	if len(applied) > 0 {
		r.Current = applied[len(applied)-1:]
	}
	return r
}

func objects(tables ...string) []catalog.Object {
	var all []catalog.Object
	for _, table := range tables {
		all = append(all, catalog.Object{Kind: "table", Schema: "public", Name: table, Identity: "public." + table})
	}
	return all
}

func does(p initialize.Plan) []string {
	var all []string
	for _, step := range p.Steps {
		all = append(all, step.Does+" "+step.Version)
	}
	return all
}

func TestEveryStateIsTold(t *testing.T) {
	t.Parallel()
	goose := func(change func(*initialize.Spec)) initialize.Spec {
		s := initialize.Spec{Database: "db", Migrations: "m"}
		if change != nil {
			change(&s)
		}
		return s
	}
	models := func(s *initialize.Spec) { s.Models.Path = "schema.sql" }
	command := initialize.Spec{Database: "db", History: initialize.Command, Command: []string{"./up", "now"}}
	alone := initialize.Spec{Database: "db", Models: initialize.Models{Path: "schema.sql"}}
	stuck := record(history.Goose, "goose_db_version", "1")
	stuck.Dirty = "it is stuck"
	versionTable := catalog.Object{Kind: "table", Schema: "public", Name: "goose_db_version", Identity: "public.goose_db_version", Version: true}
	begun := control.Run{
		ID: 4, StateBefore: "EMPTY", Action: "migrate", Outcome: control.OutcomeInterrupted, Tool: new("goose"),
		Steps: []control.RunStep{{Does: "migrate", Version: new("1")}},
	}
	early := control.Run{ID: 5, StateBefore: "EMPTY", Action: "migrate", Outcome: control.OutcomeFailed, Tool: new("goose")}
	whole := begun
	whole.Steps = []control.RunStep{{Does: "migrate", Version: new("1"), Transactional: true}}

	for name, test := range map[string]struct {
		spec   initialize.Spec
		files  history.Files
		seen   initialize.Seen
		state  initialize.State
		action initialize.Action
		does   []string
		reason string // a part of why or of what stops it
	}{
		"nothing at all":             {goose(nil), files(history.Goose, 2), initialize.Seen{}, initialize.Empty, initialize.ActMigrate, []string{"migrate 1", "migrate 2"}, "no objects"},
		"nothing, with models":       {goose(models), files(history.Goose, 2), initialize.Seen{}, initialize.Empty, initialize.ActCreate, []string{"models ", "stamp 2"}, "no objects"},
		"nothing, models refused":    {goose(func(s *initialize.Spec) { models(s); s.Bootstrap = initialize.FromMigrations }), files(history.Goose, 1), initialize.Seen{}, initialize.Empty, initialize.ActMigrate, []string{"migrate 1"}, ""},
		"nothing, and no migrations": {goose(nil), files(history.Goose, 0), initialize.Seen{}, initialize.Empty, initialize.ActNothing, nil, ""},
		"nothing, with a command":    {command, nil, initialize.Seen{}, initialize.Empty, initialize.ActMigrate, []string{"command "}, ""},
		"nothing, models alone":      {alone, nil, initialize.Seen{}, initialize.Empty, initialize.ActCreate, []string{"models "}, ""},
		"empty version table": {
			goose(nil), files(history.Goose, 1), initialize.Seen{Records: []history.Record{record(history.Goose, "goose_db_version")}, Objects: []catalog.Object{versionTable}},
			initialize.Empty, initialize.ActMigrate, []string{"migrate 1"}, "empty version table, public.goose_db_version",
		},
		"no database": {
			goose(nil), files(history.Goose, 1), initialize.Seen{Missing: true}, initialize.Empty, initialize.ActStop, nil, "let bbmd do so with schema.create",
		},
		"no database, to be created": {
			goose(func(s *initialize.Spec) { s.Create = true }), files(history.Goose, 1), initialize.Seen{Missing: true},
			initialize.Empty, initialize.ActMigrate, []string{"create database ", "migrate 1"}, "",
		},
		"up to date": {
			goose(nil), files(history.Goose, 2), initialize.Seen{Records: []history.Record{record(history.Goose, "goose_db_version", "1", "2")}},
			initialize.Versioned, initialize.ActNothing, nil, "goose, at 2",
		},
		"pending": {
			goose(nil), files(history.Goose, 3), initialize.Seen{Records: []history.Record{record(history.Goose, "goose_db_version", "1")}},
			initialize.Versioned, initialize.ActMigrate, []string{"migrate 2", "migrate 3"}, "",
		},
		"out of order": {
			goose(nil), files(history.Goose, 3), initialize.Seen{Records: []history.Record{record(history.Goose, "goose_db_version", "1", "3")}},
			initialize.Versioned, initialize.ActStop, nil, "older than what is applied: 2: give these files a version of today",
		},
		"out of order, allowed": {
			goose(func(s *initialize.Spec) { s.OutOfOrder = initialize.Allow }), files(history.Goose, 3),
			initialize.Seen{Records: []history.Record{record(history.Goose, "goose_db_version", "1", "3")}},
			initialize.Versioned, initialize.ActMigrate, []string{"migrate 2"}, "",
		},
		"ahead": {
			goose(nil), files(history.Goose, 1), initialize.Seen{Records: []history.Record{record(history.Goose, "goose_db_version", "1", "2")}},
			initialize.Ahead, initialize.ActStop, nil, "run a newer release",
		},
		"unknown revision": {
			goose(nil), files(history.Goose, 2), initialize.Seen{Records: []history.Record{record(history.Goose, "goose_db_version", "x")}},
			initialize.UnknownRevision, initialize.ActStop, nil, "has x, and the files in m do not: bring back",
		},
		"dirty": {
			goose(nil), files(history.Goose, 2), initialize.Seen{Records: []history.Record{stuck}}, initialize.Dirty, initialize.ActStop, nil, "it is stuck: see what the failed migration has left, mend that, then: force it",
		},
		"objects": {
			goose(nil), files(history.Goose, 2), initialize.Seen{Objects: objects("t", "u")},
			initialize.Unversioned, initialize.ActBaseline, []string{"compare ", "stamp 2"}, "no version table: table public.t, table public.u",
		},
		"objects and a baseline": {
			goose(func(s *initialize.Spec) { s.Baseline = "1" }), files(history.Goose, 3), initialize.Seen{Objects: objects("t")},
			initialize.Unversioned, initialize.ActBaseline, []string{"stamp 1", "migrate 2", "migrate 3"}, "",
		},
		"objects and a baseline that is none": {
			goose(func(s *initialize.Spec) { s.Baseline = "9" }), files(history.Goose, 3), initialize.Seen{Objects: objects("t")},
			initialize.Unversioned, initialize.ActStop, nil, `baseline_version "9": there are 1 to n`,
		},
		"objects and an empty version table": {
			goose(nil), files(history.Goose, 2), initialize.Seen{Records: []history.Record{record(history.Goose, "goose_db_version")}, Objects: append(objects("t"), versionTable)},
			initialize.Unversioned, initialize.ActBaseline, []string{"compare ", "stamp 2"}, "the version table public.goose_db_version is empty, and there are objects: table public.t",
		},
		"another tool's": {
			goose(nil), files(history.Goose, 1), initialize.Seen{Records: []history.Record{record(history.Alembic, "alembic_version", "a1")}, Objects: objects("t")},
			initialize.Unversioned, initialize.ActBaseline, []string{"compare ", "stamp 1"}, "another tool's: public.alembic_version (Alembic, at a1)",
		},
		"two tools": {
			goose(nil), files(history.Goose, 1),
			initialize.Seen{Records: []history.Record{record(history.Alembic, "alembic_version", "a1"), record(history.Goose, "goose_db_version", "1")}},
			initialize.Ambiguous, initialize.ActStop, nil, "say which one counts, with history",
		},
		"two tools, one of them configured": {
			goose(func(s *initialize.Spec) { s.History = history.Goose }), files(history.Goose, 1),
			initialize.Seen{Records: []history.Record{record(history.Alembic, "alembic_version", "a1"), record(history.Goose, "goose_db_version", "1")}},
			initialize.Versioned, initialize.ActNothing, nil, "",
		},
		"two tools, one of them with an empty table": {
			goose(nil), files(history.Goose, 1),
			initialize.Seen{Records: []history.Record{record(history.Alembic, "alembic_version"), record(history.Goose, "goose_db_version", "1")}},
			initialize.Versioned, initialize.ActNothing, nil, "",
		},
		"two tables of one tool": {
			goose(nil), files(history.Goose, 1),
			initialize.Seen{Records: []history.Record{record(history.Goose, "a", "1"), record(history.Goose, "b", "1")}},
			initialize.Ambiguous, initialize.ActStop, nil, "public.a (goose, at 1), public.b (goose, at 1)",
		},
		"two tables of one tool, one of them named": {
			goose(func(s *initialize.Spec) { s.VersionTable = "public.b" }), files(history.Goose, 2),
			initialize.Seen{Records: []history.Record{record(history.Goose, "a", "1", "2"), record(history.Goose, "b", "1")}},
			initialize.Versioned, initialize.ActMigrate, []string{"migrate 2"}, "public.b",
		},
		"a run that began with nothing, and was interrupted": {
			goose(nil), files(history.Goose, 2), initialize.Seen{Objects: objects("t"), Runs: []control.Run{early, begun}},
			initialize.Empty, initialize.ActMigrate, []string{"migrate 1", "migrate 2"}, "run 4 began on the empty database",
		},
		"a run that began with nothing, and can have left nothing": {
			goose(nil), files(history.Goose, 2), initialize.Seen{Objects: objects("t"), Runs: []control.Run{whole}},
			initialize.Unversioned, initialize.ActBaseline, []string{"compare ", "stamp 2"}, "table public.t",
		},
		"command": {
			command, nil, initialize.Seen{Objects: objects("t"), Records: []history.Record{record(history.Django, "django_migrations", "a")}},
			initialize.Versioned, initialize.ActMigrate, []string{"command "}, "Django",
		},
		"command, unversioned": {
			command, nil, initialize.Seen{Objects: objects("t")}, initialize.Unversioned, initialize.ActMigrate, []string{"command "}, "",
		},
		"models alone, as they were": {
			alone, nil, initialize.Seen{Objects: objects("t"), Applied: map[string]control.AppliedFile{"models": {Checksum: "abc"}}, Checksum: "abc"},
			initialize.Versioned, initialize.ActNothing, nil, "made from the models",
		},
		"models alone, changed": {
			alone, nil, initialize.Seen{Objects: objects("t"), Applied: map[string]control.AppliedFile{"models": {Checksum: "abc"}}, Checksum: "xyz"},
			initialize.Unversioned, initialize.ActBaseline, []string{"compare "}, "made from other models",
		},
		"models alone, of unknown origin": {
			alone, nil, initialize.Seen{Objects: objects("t")}, initialize.Unversioned, initialize.ActBaseline, []string{"compare "}, "",
		},
		"models alone, dropped since": {
			alone, nil, initialize.Seen{Applied: map[string]control.AppliedFile{"models": {Checksum: "abc"}}, Checksum: "abc"},
			initialize.Empty, initialize.ActCreate, []string{"models "}, "",
		},
		"nothing configured": {
			initialize.Spec{Database: "db"}, nil, initialize.Seen{Objects: objects("t"), Records: []history.Record{record(history.Django, "django_migrations", "a")}},
			initialize.Versioned, initialize.ActNothing, nil, "Django",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := initialize.Conclude(test.spec, test.files, test.seen)
			require.Equal(t, test.state, f.State, f.Reason)
			require.Equal(t, test.action, f.Plan.Action, f.Plan.Why)
			require.Equal(t, test.does, does(f.Plan))
			require.Contains(t, f.Reason+" | "+f.Plan.Stop, test.reason)
		})
	}
}

func TestEditedFilesAreTold(t *testing.T) {
	t.Parallel()
	spec := initialize.Spec{Database: "db", Migrations: "m"}
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	seen := initialize.Seen{
		Records: []history.Record{record(history.Goose, "goose_db_version", "1", "2")},
		Applied: map[string]control.AppliedFile{
			"1": {Version: "1", Checksum: "sum1"}, "2": {Version: "2", Checksum: "before", RecordedAt: at},
			"3": {Version: "3", Checksum: "of a run that was taken back"},
		},
	}

	f := initialize.Conclude(spec, files(history.Goose, 3), seen)
	require.Equal(t, initialize.ActStop, f.Plan.Action)
	require.Equal(t, []initialize.Edited{{Version: "2", File: "m/2.sql", Applied: at, Was: "before", Is: "sum2"}}, f.Edited)
	require.Contains(t, f.Plan.Stop, "m/2.sql (version 2")
	require.Contains(t, f.Plan.Stop, "DELETE FROM bbm.applied WHERE tool = 'goose' AND version = '2'")

	spec.EditedFiles = initialize.Allow
	require.Equal(t, initialize.ActMigrate, initialize.Conclude(spec, files(history.Goose, 3), seen).Plan.Action)

	delete(seen.Applied, "2")
	require.Equal(t, []string{"2"}, initialize.Conclude(spec, files(history.Goose, 3), seen).Unadopted())
}

func TestVerifyPassesWhatTheCodeCanRunOn(t *testing.T) {
	t.Parallel()
	spec := initialize.Spec{Database: "db", Migrations: "m"}
	seen := func(applied ...string) initialize.Seen {
		return initialize.Seen{Records: []history.Record{record(history.Goose, "goose_db_version", applied...)}, Objects: objects("t")}
	}
	verify := func(s initialize.Spec, seen initialize.Seen, n int) error {
		return initialize.VerifyFinding(s, initialize.Conclude(s, files(history.Goose, n), seen))
	}

	require.NoError(t, verify(spec, seen("1", "2"), 2))
	require.NoError(t, verify(spec, seen("1", "2", "3"), 2), "ahead")
	for name, err := range map[string]error{
		"pending":      verify(spec, seen("1"), 2),
		"out of order": verify(spec, seen("2"), 2),
		"unversioned":  verify(spec, seen(), 2),
		"empty":        verify(spec, initialize.Seen{}, 2),
		"missing":      verify(spec, initialize.Seen{Missing: true}, 2),
	} {
		var pending *initialize.PendingError
		require.ErrorAs(t, err, &pending, name)
		require.Equal(t, initialize.KindPending, initialize.KindOf(err), name)
		require.Contains(t, err.Error(), "bbmd migrate db", name)
	}
	err := verify(spec, seen("x"), 2)
	require.Equal(t, initialize.KindRefused, initialize.KindOf(err))
	require.Contains(t, err.Error(), "database db: UNKNOWN_REVISION: ")

	command := initialize.Spec{Database: "db", History: initialize.Command, Command: []string{"up"}}
	ran := initialize.Seen{Objects: objects("t"), Runs: []control.Run{{Outcome: control.OutcomeFinished}}}
	require.NoError(t, initialize.VerifyFinding(command, initialize.Conclude(command, nil, ran)))
	ran.Runs[0].Outcome = control.OutcomeFailed
	require.Error(t, initialize.VerifyFinding(command, initialize.Conclude(command, nil, ran)))
}

func TestSpecThatContradictsItself(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		spec initialize.Spec
		says string
	}{
		"nothing":      {initialize.Spec{}, "no schema is configured"},
		"two models":   {initialize.Spec{Models: initialize.Models{Path: "a", Command: []string{"b"}}}, "both a path and a command"},
		"no models":    {initialize.Spec{Migrations: "m", Bootstrap: initialize.FromModels}, "bootstrap is models"},
		"no history":   {initialize.Spec{Models: initialize.Models{Path: "a"}, Bootstrap: initialize.FromMigrations}, "bootstrap is migrations"},
		"no command":   {initialize.Spec{History: initialize.Command}, "history is command"},
		"no directory": {initialize.Spec{History: history.Goose, Models: initialize.Models{Path: "a"}}, "there is no directory"},
		"baseline":     {initialize.Spec{Baseline: "1", Models: initialize.Models{Path: "a"}}, "baseline_version"},
	} {
		test.spec.Database = "db"
		err := test.spec.Validate()
		require.ErrorContains(t, err, test.says, name)
		require.Equal(t, initialize.KindConfig, initialize.KindOf(err), name)
	}
	require.NoError(t, initialize.Spec{Migrations: "m"}.Validate())
}

func TestConnectionStringsOfShadows(t *testing.T) {
	t.Parallel()
	for conn, want := range map[string]string{
		"postgres://u:p%40@h:5433/app?sslmode=disable": "postgres://u:p%40@h:5433/shadow%20x?sslmode=disable",
		"postgresql://u@/app?host=/run&dbname=app":     "postgresql://u@/shadow%20x?host=%2Frun",
		"postgres://h":                     "postgres://h/shadow%20x",
		"host=h dbname=app password='a b'": "host=h dbname=app password='a b' dbname='shadow x'",
	} {
		got, err := initialize.InDatabase(conn, "shadow x")
		require.NoError(t, err)
		require.Equal(t, want, got)
		parsed, err := pgx.ParseConfig(got)
		require.NoError(t, err)
		require.Equal(t, "shadow x", parsed.Database)
	}
	_, err := initialize.InDatabase("host=h password=secret port=x", "s")
	require.Error(t, err)
	require.NotContains(t, err.Error(), "secret")
}
