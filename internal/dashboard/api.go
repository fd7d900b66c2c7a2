package dashboard

import (
	"context"
	_ "embed" // the description of the API
	"encoding/json"
	"net/http"
	"strconv"

	"github.com/bbmd-dev/bbmd/internal/control"
)

//go:embed openapi.yaml
var openAPI []byte

const (
	defaultPage = 50
	mostPage    = 200
	// samplesShown is how many batches tell how sizes have changed.
	samplesShown = 160
)

// apiRoutes lists the API, as openapi.yaml describes it.
func (s *Server) apiRoutes() []route {
	const root = "/api/v1"
	const database = root + "/databases/{database}"
	const migration = database + "/migrations/{migration}"
	return []route{
		{http.MethodGet, root + "/openapi.yaml", accessOpen, s.getOpenAPI},
		{http.MethodGet, root + "/works", accessRead, s.getWorks},
		{http.MethodGet, root + "/plugins", accessRead, s.getPlugins},
		{http.MethodGet, root + "/databases", accessRead, s.getDatabases},
		{http.MethodGet, database, accessRead, s.getDatabase},
		{http.MethodGet, database + "/events", accessRead, s.getEvents},
		{http.MethodGet, database + "/replicas", accessRead, s.getReplicas},
		{http.MethodGet, database + "/runs", accessRead, s.getRuns},
		{http.MethodGet, database + "/runs/{run}", accessRead, s.getRun},
		{http.MethodGet, database + "/audit", accessRead, s.getAudit},
		{http.MethodGet, database + "/migrations", accessRead, s.getMigrations},
		{http.MethodPost, database + "/migrations", accessAct, s.postMigration},
		{http.MethodGet, migration, accessRead, s.getMigration},
		{http.MethodPatch, migration, accessAct, s.patchMigration},
		{http.MethodPost, migration + "/actions/{action}", accessAct, s.postAction},
		{http.MethodGet, migration + "/jobs", accessRead, s.getJobs},
		{http.MethodGet, migration + "/quarantine", accessRead, s.getQuarantine},
		{http.MethodGet, migration + "/batches", accessRead, s.getBatches},
		{http.MethodGet, migration + "/audit", accessRead, s.getAudit},
	}
}

// page is a part of a list.
type page[T any] struct {
	Items []T     `json:"items"`
	Next  *string `json:"next"` // the cursor of the next page; nil: there is none
}

// pageOf makes a page of what was read with one more than the limit, which says
// whether there is another page.
func pageOf[T any](all []T, limit int, cursor func(T) int64) page[T] {
	if all == nil {
		all = []T{}
	}
	if len(all) <= limit {
		return page[T]{Items: all}
	}
	all = all[:limit]
	next := strconv.FormatInt(cursor(all[limit-1]), 10)
	return page[T]{Items: all, Next: &next}
}

// respond sends what was asked for.
func respond(w http.ResponseWriter, r *http.Request, value any, err error) error {
	if err == nil {
		writeJSON(r.Context(), w, http.StatusOK, "application/json", value)
	}
	return err
}

// limitOf returns how long a page is to be.
func limitOf(r *http.Request) (int, error) {
	text := r.FormValue("limit")
	if text == "" {
		return defaultPage, nil
	}
	limit, err := strconv.Atoi(text)
	if err != nil || limit < 1 || limit > mostPage {
		return 0, badRequest("limit is "+strconv.Quote(text), "ask for 1 to "+strconv.Itoa(mostPage))
	}
	return limit, nil
}

// cursorOf returns where a page begins; 0: at the beginning.
func cursorOf(r *http.Request) (int64, error) {
	text := r.FormValue("cursor")
	if text == "" {
		return 0, nil
	}
	cursor, err := strconv.ParseInt(text, 10, 64)
	if err != nil || cursor < 1 {
		return 0, badRequest("cursor is "+strconv.Quote(text), "give the next of the page before, or none")
	}
	return cursor, nil
}

// span returns the part of a list that is asked for.
func span(r *http.Request) (cursor int64, limit int, err error) {
	if limit, err = limitOf(r); err == nil {
		cursor, err = cursorOf(r)
	}
	return cursor, limit, err
}

// database returns the one that the request is about.
func (s *Server) database(r *http.Request) (*database, error) {
	for _, d := range s.databases {
		if d.Name == r.PathValue("database") {
			return d, nil
		}
	}
	return nil, errNoDatabase
}

// read answers with what a query of the request's database returns.
func read[T any](s *Server, w http.ResponseWriter, r *http.Request, query func(ctx context.Context, d *database, db control.TxDB) (T, error)) error {
	value, err := fetch(s, r, query)
	return respond(w, r, value, err)
}

// fetch returns what a query of the request's database returns.
func fetch[T any](s *Server, r *http.Request, query func(ctx context.Context, d *database, db control.TxDB) (T, error)) (value T, err error) {
	d, err := s.database(r)
	if err != nil {
		return value, err
	}
	err = d.ask(r.Context(), func(ctx context.Context, db control.TxDB) (err error) {
		value, err = query(ctx, d, db)
		return err
	})
	return value, err
}

// decode reads the JSON of a request, which has to be sent as such: a form of
// another page cannot be.
func decode(r *http.Request, into any) error {
	if kind := r.Header.Get("Content-Type"); kind != "application/json" {
		return badRequest("the content is "+strconv.Quote(kind), "send Content-Type: application/json")
	}
	decoder := json.NewDecoder(r.Body)
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil {
		return badRequest("the content is not what is expected: "+err.Error(), "see /api/v1/openapi.yaml")
	}
	return nil
}
