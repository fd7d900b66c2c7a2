package dashboard

import (
	"bytes"
	"context"
	"embed"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"strings"
)

//go:embed templates/*.html
var templateFiles embed.FS

// views are the pages' templates, by name.
type views map[string]*template.Template

// crumb is a step on the way to a page.
type crumb struct{ Name, Link string }

// view is what every page shows.
type view struct {
	Title   string
	Crumbs  []crumb // above the page
	Live    bool    // it is kept up to date
	Body    any
	Done    string // what was just done
	Who     caller
	Token   bool // there is one: one can log in
	Version string
	Path    string // of the page
	Assets  assets
}

func parseViews() (views, error) {
	base, err := template.New("layout.html").Funcs(functions()).ParseFS(templateFiles, "templates/layout.html", "templates/parts.html")
	if err != nil {
		return nil, fmt.Errorf("parse pages: %w", err)
	}
	entries, err := templateFiles.ReadDir("templates")
	if err != nil {
		return nil, fmt.Errorf("list pages: %w", err)
	}
	all := views{}
	for _, entry := range entries {
		name := strings.TrimSuffix(entry.Name(), ".html")
		if name == "layout" || name == "parts" {
			continue
		}
		set, err := template.Must(base.Clone()).ParseFS(templateFiles, "templates/"+entry.Name())
		if err != nil {
			return nil, fmt.Errorf("parse pages: %w", err)
		}
		all[name] = set
	}
	return all, nil
}

// fragmentKey marks a request of ours for what is live of a page.
type fragmentKey struct{}

func isFragment(r *http.Request) bool {
	fragment, _ := r.Context().Value(fragmentKey{}).(bool)
	return fragment
}

// doneWords are what is said after something was done, by the form's action.
func doneWords(action string) string {
	switch action {
	case "pause":
		return "Paused: the batches under way finish."
	case "resume":
		return "Resumed."
	case "cancel":
		return "Cancelled for good."
	case "retry":
		return "The failed jobs are tried again."
	case "retry-quarantined":
		return "The rows in quarantine are tried again."
	case "finalize":
		return "The rest runs without throttle now."
	case "settings":
		return "The settings are changed."
	case "enqueue":
		return "Enqueued."
	default:
		return ""
	}
}

// show sends a page, or the live part of it.
func (s *Server) show(w http.ResponseWriter, r *http.Request, status int, name string, v view) error {
	v.Who, v.Token, v.Version, v.Assets = callerOf(r), s.options.Token != nil, s.options.Version, s.assets
	v.Path, v.Done = r.URL.RequestURI(), doneWords(r.URL.Query().Get("done"))
	part := "layout.html"
	if isFragment(r) {
		part = "main"
	}
	var b bytes.Buffer
	if err := s.views[name].ExecuteTemplate(&b, part, v); err != nil {
		return fmt.Errorf("render the page %s: %w", name, err)
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(b.Bytes()) // a client that has gone needs no answer
	return nil
}

func (s *Server) showProblem(w http.ResponseWriter, r *http.Request, p problem) {
	if err := s.show(w, r, p.Status, "problem", view{Title: p.Title, Body: p}); err != nil {
		http.Error(w, p.Title, p.Status)
	}
}

// memory is a response that is kept.
type memory struct {
	header http.Header
	body   bytes.Buffer
}

func (m *memory) Header() http.Header         { return m.header }
func (m *memory) WriteHeader(int)             {}
func (m *memory) Write(p []byte) (int, error) { return m.body.Write(p) }

// fragment renders what is live of a page, as one sees it who may act, or not.
func (s *Server) fragment(ctx context.Context, target string, who caller) []byte {
	ctx = context.WithValue(context.WithValue(ctx, fragmentKey{}, true), callerKey{}, who)
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, target, http.NoBody) //nolint:gosec // nothing is sent: our own routes answer it
	if err != nil {
		return nil
	}
	m := memory{header: http.Header{}}
	s.mux.ServeHTTP(&m, r)
	return m.body.Bytes()
}

// getPageEvents sends what is live of a page whenever it changes.
func (s *Server) getPageEvents(w http.ResponseWriter, r *http.Request) error {
	target, err := url.Parse(r.FormValue("page"))
	if err != nil || target.IsAbs() || target.Host != "" || !strings.HasPrefix(target.Path, "/") {
		return badRequest("page is not the path of one", "give that of a page of the dashboard")
	}
	database, live := livePage(target.Path)
	if !live {
		return badRequest("this page does not change by itself", "load it")
	}
	query := target.Query()
	query.Del("done")
	target.RawQuery, target.Fragment = query.Encode(), ""
	who := caller{May: callerOf(r).May}
	key := fmt.Sprintf("page\x00%t\x00%s", who.May, target.RequestURI())
	return s.stream(w, r, "page", key, database, func(ctx context.Context) []byte {
		return s.fragment(ctx, target.RequestURI(), who)
	})
}

// livePage reports whether a page is kept up to date, and the database that it
// is about; empty: all of them.
func livePage(path string) (database string, live bool) {
	parts := strings.Split(strings.Trim(path, "/"), "/")
	switch {
	case path == "/":
		return "", true
	case parts[0] != "databases" || len(parts) < 2:
		return "", false
	case len(parts) > 2 && parts[2] == "enqueue":
		return "", false
	default:
		return parts[1], true
	}
}
