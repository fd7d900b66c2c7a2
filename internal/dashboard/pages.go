package dashboard

import (
	"context"
	"net/http"
	"net/url"
	"sync"

	"github.com/bbmd-dev/bbmd/internal/control"
)

// pageRoutes lists what people see.
func (s *Server) pageRoutes() []route {
	const database = "/databases/{database}"
	const migration = database + "/migrations/{migration}"
	return []route{
		{http.MethodGet, "/{$}", accessRead, s.getOverview},
		{http.MethodGet, "/works", accessRead, s.getWorksPage},
		{http.MethodGet, "/events", accessRead, s.getPageEvents},
		{http.MethodGet, "/login", accessOpen, s.getLogin},
		{http.MethodPost, "/login", accessOpen, s.postLogin},
		{http.MethodPost, "/logout", accessOpen, s.postLogout},
		{http.MethodGet, "/static/{digest}/{file}", accessOpen, s.getAsset},
		{http.MethodGet, database, accessRead, s.getDatabasePage},
		{http.MethodGet, database + "/runs", accessRead, s.getRunsPage},
		{http.MethodGet, database + "/runs/{run}", accessRead, s.getRunPage},
		{http.MethodGet, database + "/audit", accessRead, s.getAuditPage},
		{http.MethodGet, database + "/migrations", accessRead, s.getMigrationsPage},
		{http.MethodGet, database + "/enqueue", accessAct, s.getEnqueue},
		{http.MethodPost, database + "/enqueue", accessAct, s.postEnqueue},
		{http.MethodGet, migration, accessRead, s.getMigrationPage},
		{http.MethodGet, migration + "/jobs", accessRead, s.getJobsPage},
		{http.MethodGet, migration + "/quarantine", accessRead, s.getQuarantinePage},
		{http.MethodGet, migration + "/audit", accessRead, s.getAuditPage},
		{http.MethodPost, migration + "/actions/{action}", accessAct, s.postPageAction},
		{http.MethodPost, migration + "/settings", accessAct, s.postSettings},
	}
}

// overviewShown is how many migrations of each database the first page shows.
const overviewShown = 6

// card is a database on the first page.
type card struct {
	databaseState

	Migrations []control.Progress
	More       int
	Run        *control.Run // the latest; nil: none
	Error      string       // why nothing more is known
}

func (s *Server) getOverview(w http.ResponseWriter, r *http.Request) error {
	cards := make([]card, len(s.databases))
	var looks sync.WaitGroup // one that hangs does not hold up the others
	for i, d := range s.databases {
		looks.Go(func() {
			defer s.survive(r.Context())
			cards[i] = s.card(r.Context(), d, isFragment(r))
		})
	}
	looks.Wait()
	return s.show(w, r, http.StatusOK, "overview", view{Title: "Databases", Live: true, Body: cards})
}

// card looks at a database, or, for a page that is only kept up to date, at
// what it was found to be, where nothing has changed since.
func (s *Server) card(ctx context.Context, d *database, live bool) card {
	d.cardMu.Lock()
	defer d.cardMu.Unlock()
	if !d.cardStale.Swap(false) && live && d.card != nil {
		return *d.card
	}
	found := card{databaseState: d.state(ctx)}
	err := d.ask(ctx, func(ctx context.Context, db control.TxDB) (err error) {
		if found.Migrations, err = d.Store.Progress(ctx, db, control.Selection{Ended: 1}); err != nil {
			return err
		}
		runs, err := d.Store.RunsWithoutLog(ctx, db, 1)
		if len(runs) > 0 {
			found.Run = &runs[0]
		}
		return err
	})
	if err != nil {
		found.Error = s.options.Redact(err.Error())
	}
	if more := len(found.Migrations) - overviewShown; more > 0 {
		found.More, found.Migrations = more, found.Migrations[:overviewShown]
	}
	d.card = &found
	return found
}

// top is the way to a database's page.
func (d *database) crumbs(more ...crumb) []crumb {
	return append([]crumb{{"Databases", "/"}, {d.Name, d.link()}}, more...)
}

func (d *database) link() string { return "/databases/" + url.PathEscape(d.Name) }

func (d *database) linkTo(migration string) string {
	return d.link() + "/migrations/" + url.PathEscape(migration)
}

// databasePage is what the page of a database shows.
type databasePage struct {
	databaseState

	Schema     Schema
	Migrations []control.Progress
	Runs       []control.Run
	Replicas   []control.Replica
	Error      string // why the rest is not known
}

// runsShown is how many runs the page of a database shows.
const runsShown = 5

func (s *Server) getDatabasePage(w http.ResponseWriter, r *http.Request) error {
	d, err := s.database(r)
	if err != nil {
		return err
	}
	body := databasePage{databaseState: d.state(r.Context()), Schema: d.look(r.Context(), isFragment(r))}
	err = d.ask(r.Context(), func(ctx context.Context, db control.TxDB) (err error) {
		if body.Migrations, err = d.Store.Progress(ctx, db, control.Selection{Ended: endedShown}); err != nil {
			return err
		}
		if body.Runs, err = d.Store.RunsPage(ctx, db, 0, runsShown); err != nil {
			return err
		}
		body.Replicas, err = d.Store.Replicas(ctx, db)
		return err
	})
	if err != nil {
		body.Error = s.options.Redact(err.Error())
	}
	return s.show(w, r, http.StatusOK, "database", view{Title: d.Name, Crumbs: d.crumbs()[:1], Live: true, Body: body})
}

// listPage is a page of a list.
type listPage[T any] struct {
	Database  string
	Migration string // empty: the list is of all
	Which     string // of the items there are
	Items     []T
	Next      string // link to the next page; empty: there is none
}

// list makes a page of a list out of what was read.
func list[T any](r *http.Request, items page[T]) listPage[T] {
	body := listPage[T]{Database: r.PathValue("database"), Migration: r.PathValue("migration"), Which: r.FormValue("which"), Items: items.Items}
	if items.Next != nil {
		query := r.URL.Query()
		query.Set("cursor", *items.Next)
		body.Next = "?" + query.Encode()
	}
	return body
}

// showList reads a page of a list, and shows it.
func showList[T any](s *Server, w http.ResponseWriter, r *http.Request, name, title string, query func(ctx context.Context, d *database, db control.TxDB) (page[T], error)) error {
	items, err := fetch(s, r, query)
	if err != nil {
		return err
	}
	d, err := s.database(r)
	if err != nil {
		return err
	}
	crumbs := d.crumbs()
	if migration := r.PathValue("migration"); migration != "" {
		crumbs = append(crumbs, crumb{migration, d.linkTo(migration)})
	}
	return s.show(w, r, http.StatusOK, name, view{Title: title, Crumbs: crumbs, Live: r.FormValue("cursor") == "", Body: list(r, items)})
}

func (s *Server) getRunsPage(w http.ResponseWriter, r *http.Request) error {
	before, limit, err := span(r)
	if err != nil {
		return err
	}
	return showList(s, w, r, "runs", "Runs of the schema", func(ctx context.Context, d *database, db control.TxDB) (page[control.Run], error) {
		all, err := d.Store.RunsPage(ctx, db, before, limit+1)
		return pageOf(all, limit, func(run control.Run) int64 { return run.ID }), err
	})
}

func (s *Server) getMigrationsPage(w http.ResponseWriter, r *http.Request) error {
	before, limit, err := span(r)
	if err != nil {
		return err
	}
	wanted, err := statusesOf(r)
	if err != nil {
		return err
	}
	return showList(s, w, r, "migrations", "All migrations", func(ctx context.Context, d *database, db control.TxDB) (page[control.Progress], error) {
		all, err := d.Store.ProgressPage(ctx, db, wanted, int32(min(before, 1<<31-1)), limit+1) //nolint:gosec // it fits
		return pageOf(all, limit, func(p control.Progress) int64 { return int64(p.ID) }), err
	})
}

func (s *Server) getAuditPage(w http.ResponseWriter, r *http.Request) error {
	return showList(s, w, r, "audit", "Audit", func(ctx context.Context, d *database, db control.TxDB) (page[control.AuditEntry], error) {
		return d.auditPage(ctx, db, r)
	})
}

func (s *Server) getJobsPage(w http.ResponseWriter, r *http.Request) error {
	return showList(s, w, r, "jobs", "Jobs", func(ctx context.Context, d *database, db control.TxDB) (page[control.JobRow], error) {
		return d.jobsPage(ctx, db, r)
	})
}

func (s *Server) getQuarantinePage(w http.ResponseWriter, r *http.Request) error {
	after, limit, err := span(r)
	if err != nil {
		return err
	}
	return showList(s, w, r, "quarantine", "Quarantine", func(ctx context.Context, d *database, db control.TxDB) (page[control.QuarantinedRow], error) {
		migration, err := d.id(ctx, db, r)
		if err != nil {
			return page[control.QuarantinedRow]{}, err
		}
		all, err := d.Store.QuarantinePage(ctx, db, migration, after, limit+1)
		return pageOf(all, limit, func(row control.QuarantinedRow) int64 { return row.ID }), err
	})
}

// worksPage is what can be enqueued, and where it comes from.
type worksPage struct {
	Works     []Work
	Plugins   []Plugin
	Databases []string
}

func (s *Server) getWorksPage(w http.ResponseWriter, r *http.Request) error {
	body := worksPage{Works: s.options.Works(), Plugins: s.options.Plugins()}
	for _, d := range s.databases {
		body.Databases = append(body.Databases, d.Name)
	}
	return s.show(w, r, http.StatusOK, "works", view{Title: "Works and plugins", Crumbs: []crumb{{"Databases", "/"}}, Body: body})
}
