package dashboard

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/bbmd-dev/bbmd/internal/control"
)

func (s *Server) getOpenAPI(w http.ResponseWriter, _ *http.Request) error {
	w.Header().Set("Content-Type", "application/yaml")
	_, _ = w.Write(openAPI) // a client that has gone needs no answer
	return nil
}

func (s *Server) getWorks(w http.ResponseWriter, r *http.Request) error {
	return respond(w, r, page[Work]{Items: append([]Work{}, s.options.Works()...)}, nil)
}

func (s *Server) getPlugins(w http.ResponseWriter, r *http.Request) error {
	return respond(w, r, page[Plugin]{Items: append([]Plugin{}, s.options.Plugins()...)}, nil)
}

// databaseState is how a database is doing.
type databaseState struct {
	Name   string  `json:"name"`
	Ready  bool    `json:"ready"`
	Checks []Check `json:"checks"`
}

func (d *database) state(ctx context.Context) databaseState {
	checks := d.checks(ctx)
	wrong := slices.ContainsFunc(checks, func(c Check) bool { return c.Error != "" })
	return databaseState{Name: d.Name, Ready: !wrong, Checks: checks}
}

func (s *Server) getDatabases(w http.ResponseWriter, r *http.Request) error {
	states := make([]databaseState, 0, len(s.databases))
	for _, d := range s.databases {
		states = append(states, d.state(r.Context()))
	}
	return respond(w, r, page[databaseState]{Items: states}, nil)
}

// databaseDetail is a database and its schema.
type databaseDetail struct {
	databaseState

	Schema Schema `json:"schema"`
}

func (s *Server) getDatabase(w http.ResponseWriter, r *http.Request) error {
	d, err := s.database(r)
	if err != nil {
		return err
	}
	schema := d.look(r.Context(), false)
	schema.Current, schema.Pending = append([]string{}, schema.Current...), append([]string{}, schema.Pending...)
	return respond(w, r, databaseDetail{databaseState: d.state(r.Context()), Schema: schema}, nil)
}

func (s *Server) getReplicas(w http.ResponseWriter, r *http.Request) error {
	return read(s, w, r, func(ctx context.Context, d *database, db control.TxDB) (page[control.Replica], error) {
		all, err := d.Store.Replicas(ctx, db)
		return page[control.Replica]{Items: append([]control.Replica{}, all...)}, err
	})
}

func (s *Server) getRuns(w http.ResponseWriter, r *http.Request) error {
	before, limit, err := span(r)
	if err != nil {
		return err
	}
	return read(s, w, r, func(ctx context.Context, d *database, db control.TxDB) (page[control.Run], error) {
		all, err := d.Store.RunsPage(ctx, db, before, limit+1)
		return pageOf(all, limit, func(run control.Run) int64 { return run.ID }), err
	})
}

func (s *Server) getRun(w http.ResponseWriter, r *http.Request) error {
	id, err := strconv.ParseInt(r.PathValue("run"), 10, 64)
	if err != nil {
		return control.ErrNoRun
	}
	return read(s, w, r, func(ctx context.Context, d *database, db control.TxDB) (*control.Run, error) {
		return d.Store.Run(ctx, db, id)
	})
}

// statuses that a migration can have.
func statuses() []string {
	return []string{
		control.StatusRunning, control.StatusActive, control.StatusPaused, control.StatusFailed,
		control.StatusFinished, control.StatusCancelled,
	}
}

// statusesOf returns those that are asked for; nil: all.
func statusesOf(r *http.Request) ([]string, error) {
	text := r.FormValue("status")
	if text == "" {
		return nil, nil
	}
	asked := strings.Split(text, ",")
	for _, status := range asked {
		if !slices.Contains(statuses(), status) {
			return nil, badRequest("status is "+strconv.Quote(text), "give some of "+strings.Join(statuses(), ",")+", separated by commas")
		}
	}
	return asked, nil
}

func (s *Server) getMigrations(w http.ResponseWriter, r *http.Request) error {
	before, limit, err := span(r)
	if err != nil {
		return err
	}
	wanted, err := statusesOf(r)
	if err != nil {
		return err
	}
	return read(s, w, r, func(ctx context.Context, d *database, db control.TxDB) (page[control.Progress], error) {
		all, err := d.Store.ProgressPage(ctx, db, wanted, int32(min(before, 1<<31-1)), limit+1) //nolint:gosec // it fits
		return pageOf(all, limit, func(p control.Progress) int64 { return int64(p.ID) }), err
	})
}

// migrationDetail is all that there is to know of a migration, and what may be changed.
type migrationDetail struct {
	control.Detail

	Settings control.KnobsSet `json:"settings"`
}

// detail reads the migration that a request is about.
func (d *database) detail(ctx context.Context, db control.TxDB, name string) (migrationDetail, error) {
	found, err := d.Store.Detail(ctx, db, name)
	if err != nil {
		return migrationDetail{}, err
	}
	knobs, err := d.Store.Knobs(ctx, db, name)
	return migrationDetail{Detail: *found, Settings: knobs}, err
}

func (s *Server) getMigration(w http.ResponseWriter, r *http.Request) error {
	return read(s, w, r, func(ctx context.Context, d *database, db control.TxDB) (migrationDetail, error) {
		return d.detail(ctx, db, r.PathValue("migration"))
	})
}

// id returns the id of the migration that the request is about; 0: of all.
func (d *database) id(ctx context.Context, db control.TxDB, r *http.Request) (int32, error) {
	name := r.PathValue("migration")
	if name == "" {
		return 0, nil
	}
	return d.Store.ID(ctx, db, name)
}

// jobsPage reads the jobs that a request asks for.
func (d *database) jobsPage(ctx context.Context, db control.TxDB, r *http.Request) (page[control.JobRow], error) {
	cursor, limit, err := span(r)
	if err != nil {
		return page[control.JobRow]{}, err
	}
	migration, err := d.id(ctx, db, r)
	if err != nil {
		return page[control.JobRow]{}, err
	}
	switch which := r.FormValue("which"); which {
	case "all":
		all, err := d.Store.JobsPage(ctx, db, migration, cursor, limit+1)
		return pageOf(all, limit, func(j control.JobRow) int64 { return *j.Ordinal }), err
	case "", "open", "failed", "pending", "running":
		if which == "open" {
			which = ""
		}
		all, err := d.Store.OpenJobsPage(ctx, db, migration, which, cursor, limit+1)
		return pageOf(all, limit, func(j control.JobRow) int64 { return j.ID }), err
	default:
		return page[control.JobRow]{}, badRequest("which is "+strconv.Quote(which), "use open, failed, pending, running or all")
	}
}

func (s *Server) getJobs(w http.ResponseWriter, r *http.Request) error {
	return read(s, w, r, func(ctx context.Context, d *database, db control.TxDB) (page[control.JobRow], error) {
		return d.jobsPage(ctx, db, r)
	})
}

func (s *Server) getQuarantine(w http.ResponseWriter, r *http.Request) error {
	after, limit, err := span(r)
	if err != nil {
		return err
	}
	return read(s, w, r, func(ctx context.Context, d *database, db control.TxDB) (page[control.QuarantinedRow], error) {
		migration, err := d.id(ctx, db, r)
		if err != nil {
			return page[control.QuarantinedRow]{}, err
		}
		all, err := d.Store.QuarantinePage(ctx, db, migration, after, limit+1)
		return pageOf(all, limit, func(row control.QuarantinedRow) int64 { return row.ID }), err
	})
}

func (s *Server) getBatches(w http.ResponseWriter, r *http.Request) error {
	return read(s, w, r, func(ctx context.Context, d *database, db control.TxDB) (page[control.BatchSample], error) {
		migration, err := d.id(ctx, db, r)
		if err != nil {
			return page[control.BatchSample]{}, err
		}
		all, err := d.Store.BatchSamples(ctx, db, migration, samplesShown)
		return page[control.BatchSample]{Items: append([]control.BatchSample{}, all...)}, err
	})
}

// auditPage reads the audit that a request asks for.
func (d *database) auditPage(ctx context.Context, db control.TxDB, r *http.Request) (page[control.AuditEntry], error) {
	var none page[control.AuditEntry]
	limit, err := limitOf(r)
	if err != nil {
		return none, err
	}
	from, err := auditCursor(r.FormValue("cursor"))
	if err != nil {
		return none, err
	}
	migration, err := d.id(ctx, db, r)
	if err != nil {
		return none, err
	}
	all, behind, err := d.Store.Audit(ctx, db, migration, from, limit)
	if err != nil || len(all) < limit {
		return page[control.AuditEntry]{Items: append([]control.AuditEntry{}, all...)}, err
	}
	next := strconv.FormatInt(behind.Transition, 10) + "-" + strconv.FormatInt(behind.Change, 10)
	return page[control.AuditEntry]{Items: all, Next: &next}, nil
}

func auditCursor(text string) (c control.AuditCursor, err error) {
	if text == "" {
		return c, nil
	}
	transition, change, _ := strings.Cut(text, "-")
	if c.Transition, err = strconv.ParseInt(transition, 10, 64); err == nil {
		c.Change, err = strconv.ParseInt(change, 10, 64)
	}
	if err != nil || c.Transition < 0 || c.Change < 0 {
		return c, badRequest("cursor is "+strconv.Quote(text), "give the next of the page before, or none")
	}
	return c, nil
}

func (s *Server) getAudit(w http.ResponseWriter, r *http.Request) error {
	return read(s, w, r, func(ctx context.Context, d *database, db control.TxDB) (page[control.AuditEntry], error) {
		return d.auditPage(ctx, db, r)
	})
}
