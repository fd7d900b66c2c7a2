package initialize_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/internal/catalog"
	"github.com/bbmd-dev/bbmd/internal/control"
	"github.com/bbmd-dev/bbmd/internal/history"
	"github.com/bbmd-dev/bbmd/internal/initialize"
)

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
	stuckElsewhere := record(history.GolangMigrate, "schema_migrations", "1")
	stuckElsewhere.Dirty = "it is stuck"
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
		"nothing at all":             {goose(nil), files(2), initialize.Seen{}, initialize.Empty, initialize.ActMigrate, []string{"migrate 1", "migrate 2"}, "no objects"},
		"nothing, with models":       {goose(models), files(2), initialize.Seen{}, initialize.Empty, initialize.ActCreate, []string{"models ", "stamp 2"}, "no objects"},
		"nothing, models refused":    {goose(func(s *initialize.Spec) { models(s); s.Bootstrap = initialize.FromMigrations }), files(1), initialize.Seen{}, initialize.Empty, initialize.ActMigrate, []string{"migrate 1"}, ""},
		"nothing, and no migrations": {goose(nil), files(0), initialize.Seen{}, initialize.Empty, initialize.ActNothing, nil, ""},
		"nothing, with a command":    {command, nil, initialize.Seen{}, initialize.Empty, initialize.ActMigrate, []string{"command "}, ""},
		"nothing, models alone":      {alone, nil, initialize.Seen{}, initialize.Empty, initialize.ActCreate, []string{"models "}, ""},
		"empty version table": {
			goose(nil), files(1),
			initialize.Seen{Records: []history.Record{record(history.Goose, "goose_db_version")}, Objects: []catalog.Object{versionTable}},
			initialize.Empty, initialize.ActMigrate,
			[]string{"migrate 1"},
			"empty version table, public.goose_db_version",
		},
		"no database": {
			goose(nil), files(1), initialize.Seen{Missing: true}, initialize.Empty, initialize.ActStop, nil, "let bbmd do so with schema.create",
		},
		"no database, to be created": {
			goose(func(s *initialize.Spec) { s.Create = true }), files(1),
			initialize.Seen{Missing: true},
			initialize.Empty, initialize.ActMigrate,
			[]string{"create database ", "migrate 1"},
			"",
		},
		"up to date": {
			goose(nil), files(2),
			initialize.Seen{Records: []history.Record{record(history.Goose, "goose_db_version", "1", "2")}},
			initialize.Versioned, initialize.ActNothing, nil, "goose, at 2",
		},
		"pending": {
			goose(nil), files(3),
			initialize.Seen{Records: []history.Record{record(history.Goose, "goose_db_version", "1")}},
			initialize.Versioned, initialize.ActMigrate,
			[]string{"migrate 2", "migrate 3"},
			"",
		},
		"out of order": {
			goose(nil), files(3),
			initialize.Seen{Records: []history.Record{record(history.Goose, "goose_db_version", "1", "3")}},
			initialize.Versioned, initialize.ActStop, nil, "older than what is applied: 2: give these files a version of today",
		},
		"out of order, allowed": {
			goose(func(s *initialize.Spec) { s.OutOfOrder = initialize.Allow }), files(3),
			initialize.Seen{Records: []history.Record{record(history.Goose, "goose_db_version", "1", "3")}},
			initialize.Versioned, initialize.ActMigrate,
			[]string{"migrate 2"},
			"",
		},
		"ahead": {
			goose(nil), files(1),
			initialize.Seen{Records: []history.Record{record(history.Goose, "goose_db_version", "1", "2")}},
			initialize.Ahead, initialize.ActStop, nil, "run a newer release",
		},
		"unknown revision": {
			goose(nil), files(2),
			initialize.Seen{Records: []history.Record{record(history.Goose, "goose_db_version", "x")}},
			initialize.UnknownRevision, initialize.ActStop, nil, "has x, and the files in m do not: bring back",
		},
		"dirty": {
			goose(nil), files(2), initialize.Seen{Records: []history.Record{stuck}}, initialize.Dirty, initialize.ActStop, nil, "it is stuck: see what the failed migration has left, mend that, then: force it",
		},
		"objects": {
			goose(nil), files(2),
			initialize.Seen{Objects: objects("t", "u")},
			initialize.Unversioned, initialize.ActBaseline,
			[]string{"compare ", "stamp 2"},
			"no version table: table public.t, table public.u",
		},
		"objects and a baseline": {
			goose(func(s *initialize.Spec) { s.Baseline = "1" }), files(3),
			initialize.Seen{Objects: objects("t")},
			initialize.Unversioned, initialize.ActBaseline,
			[]string{"stamp 1", "migrate 2", "migrate 3"},
			"",
		},
		"objects and a baseline that is none": {
			goose(func(s *initialize.Spec) { s.Baseline = "9" }), files(3),
			initialize.Seen{Objects: objects("t")},
			initialize.Unversioned, initialize.ActStop, nil, `baseline_version: there are 1 to n`,
		},
		"objects and an empty version table": {
			goose(nil), files(2),
			initialize.Seen{Records: []history.Record{record(history.Goose, "goose_db_version")}, Objects: append(objects("t"), versionTable)},
			initialize.Unversioned, initialize.ActBaseline,
			[]string{"compare ", "stamp 2"},
			"the version table public.goose_db_version is empty, and there are objects: table public.t",
		},
		"another tool's": {
			goose(nil), files(1),
			initialize.Seen{Records: []history.Record{record(history.Alembic, "alembic_version", "a1")}, Objects: objects("t")},
			initialize.Ambiguous, initialize.ActStop, nil, "are of goose, and the version table is another tool's: public.alembic_version (Alembic, at a1): say which one counts, with history",
		},
		"another tool's, and the files count": {
			goose(func(s *initialize.Spec) { s.History = history.Goose }), files(1),
			initialize.Seen{Records: []history.Record{record(history.Alembic, "alembic_version", "a1")}, Objects: objects("t")},
			initialize.Unversioned, initialize.ActBaseline,
			[]string{"compare ", "stamp 1"},
			"another tool's: public.alembic_version (Alembic, at a1)",
		},
		"another tool's, which is stuck": {
			goose(func(s *initialize.Spec) { s.History = history.Goose }), files(1),
			initialize.Seen{Records: []history.Record{stuckElsewhere}},
			initialize.Dirty, initialize.ActStop, nil, "mend that, then: force it; or, where that tool is not used any more: DROP TABLE public.schema_migrations",
		},
		"another tool's, which is stuck, and the files are applied": {
			goose(func(s *initialize.Spec) { s.History = history.Goose }), files(1),
			initialize.Seen{Records: []history.Record{stuckElsewhere, record(history.Goose, "goose_db_version", "1")}},
			initialize.Versioned, initialize.ActNothing, nil, "",
		},
		"two tools": {
			goose(nil), files(1),
			initialize.Seen{Records: []history.Record{record(history.Alembic, "alembic_version", "a1"), record(history.Goose, "goose_db_version", "1")}},
			initialize.Ambiguous, initialize.ActStop, nil, "say which one counts, with history",
		},
		"two tools, one of them configured": {
			goose(func(s *initialize.Spec) { s.History = history.Goose }), files(1),
			initialize.Seen{Records: []history.Record{record(history.Alembic, "alembic_version", "a1"), record(history.Goose, "goose_db_version", "1")}},
			initialize.Versioned, initialize.ActNothing, nil, "",
		},
		"two tools, one of them with an empty table": {
			goose(nil), files(1),
			initialize.Seen{Records: []history.Record{record(history.Alembic, "alembic_version"), record(history.Goose, "goose_db_version", "1")}},
			initialize.Versioned, initialize.ActNothing, nil, "",
		},
		"two tables of one tool": {
			goose(nil), files(1),
			initialize.Seen{Records: []history.Record{record(history.Goose, "a", "1"), record(history.Goose, "b", "1")}},
			initialize.Ambiguous, initialize.ActStop, nil, "public.a (goose, at 1), public.b (goose, at 1)",
		},
		"two tables of one tool, one of them named": {
			goose(func(s *initialize.Spec) { s.VersionTable = "public.b" }), files(2),
			initialize.Seen{Records: []history.Record{record(history.Goose, "a", "1", "2"), record(history.Goose, "b", "1")}},
			initialize.Versioned, initialize.ActMigrate,
			[]string{"migrate 2"},
			"public.b",
		},
		"a run that began with nothing, and was interrupted": {
			goose(nil), files(2),
			initialize.Seen{Objects: objects("t"), Runs: []control.Run{early, begun}},
			initialize.Empty, initialize.ActMigrate,
			[]string{"migrate 1", "migrate 2"},
			"run 4 began on the empty database",
		},
		"a run that began with nothing, and can have left nothing": {
			goose(nil), files(2),
			initialize.Seen{Objects: objects("t"), Runs: []control.Run{whole}},
			initialize.Unversioned, initialize.ActBaseline,
			[]string{"compare ", "stamp 2"},
			"table public.t",
		},
		"command": {
			command, nil,
			initialize.Seen{Objects: objects("t"), Records: []history.Record{record(history.Django, "django_migrations", "a")}},
			initialize.Versioned, initialize.ActMigrate,
			[]string{"command "},
			"Django",
		},
		"command, unversioned": {
			command, nil, initialize.Seen{Objects: objects("t")}, initialize.Unversioned, initialize.ActMigrate, []string{"command "}, "",
		},
		"models alone, as they were": {
			alone, nil,
			initialize.Seen{Objects: objects("t"), Applied: map[string]control.AppliedFile{"models": {Checksum: "abc"}}, Checksum: "abc"},
			initialize.Versioned, initialize.ActNothing, nil, "made from the models",
		},
		"models alone, changed": {
			alone, nil,
			initialize.Seen{Objects: objects("t"), Applied: map[string]control.AppliedFile{"models": {Checksum: "abc"}}, Checksum: "xyz"},
			initialize.Unversioned, initialize.ActBaseline,
			[]string{"compare "},
			"made from other models",
		},
		"models alone, of unknown origin": {
			alone, nil, initialize.Seen{Objects: objects("t")}, initialize.Unversioned, initialize.ActBaseline, []string{"compare "}, "",
		},
		"models alone, dropped since": {
			alone, nil,
			initialize.Seen{Applied: map[string]control.AppliedFile{"models": {Checksum: "abc"}}, Checksum: "abc"},
			initialize.Empty, initialize.ActCreate,
			[]string{"models "},
			"",
		},
		"nothing configured": {
			initialize.Spec{Database: "db"},
			nil,
			initialize.Seen{Objects: objects("t"), Records: []history.Record{record(history.Django, "django_migrations", "a")}},
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

	f := initialize.Conclude(spec, files(3), seen)
	require.Equal(t, initialize.ActStop, f.Plan.Action)
	require.Equal(t, []initialize.Edited{{Version: "2", File: "m/2.sql", Applied: at, Was: "before", Is: "sum2"}}, f.Edited)
	require.Contains(t, f.Plan.Stop, "m/2.sql (version 2")
	require.Contains(t, f.Plan.Stop, "DELETE FROM bbm.applied WHERE tool = 'goose' AND version = '2'")

	spec.EditedFiles = initialize.Allow
	require.Equal(t, initialize.ActMigrate, initialize.Conclude(spec, files(3), seen).Plan.Action)

	delete(seen.Applied, "2")
	require.Equal(t, []string{"2"}, initialize.Conclude(spec, files(3), seen).Unadopted())
}
