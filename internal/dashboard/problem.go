package dashboard

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"regexp"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/bbmd-dev/bbmd/internal/control"
)

// problem is an error for those who asked, as RFC 9457 has it.
type problem struct {
	Type     string `json:"type"`
	Title    string `json:"title"`
	Status   int    `json:"status"`
	Detail   string `json:"detail"`
	Hint     string `json:"hint"` // the way out
	SQLState string `json:"sqlstate,omitempty"`
}

// The errors of requests.
var (
	errNoPage     = errors.New("there is nothing here")
	errNoDatabase = errors.New("there is no such database")
	errHost       = errors.New("this name is not known to be the dashboard's")
	errWho        = errors.New("this needs the token")
	errToken      = errors.New("this is not the token")
	errSession    = errors.New("the session is over, or the token has changed")
	errNoToken    = errors.New("the token cannot be read")
	errNoActing   = errors.New("nobody may act here: no token is configured")
	errForeign    = errors.New("the request comes from another page than one of this dashboard")
	errNoFinalize = errors.New("this cannot be finalized here")
)

// badRequestError says what is wrong with a request.
type badRequestError struct{ detail, hint string }

func (e *badRequestError) Error() string { return e.detail }

func badRequest(detail, hint string) error { return &badRequestError{detail, hint} }

// plain are the errors that are always the same problem.
func plain() []struct {
	err    error
	status int
	title  string
	hint   string
} {
	return []struct {
		err    error
		status int
		title  string
		hint   string
	}{
		{errNoPage, http.StatusNotFound, "Not found", "the dashboard begins at /, and its API is described by /api/v1/openapi.yaml"},
		{errNoDatabase, http.StatusNotFound, "No such database", "GET /api/v1/databases lists them"},
		{control.ErrNoMigration, http.StatusNotFound, "No such migration", "GET /api/v1/databases/{database}/migrations lists them"},
		{control.ErrNoRun, http.StatusNotFound, "No such run", "GET /api/v1/databases/{database}/runs lists them"},
		{errHost, http.StatusMisdirectedRequest, "Unknown host", "add the name to dashboard.hosts, or ask for localhost or the IP address"},
		{errWho, http.StatusUnauthorized, "Token needed", "log in, or send Authorization: Bearer with the token"},
		{errToken, http.StatusUnauthorized, "Wrong token", "it is what dashboard.token, or the file dashboard.token_file, says now"},
		{errSession, http.StatusUnauthorized, "Session over", "log in again"},
		{errNoToken, http.StatusInternalServerError, "No token", "put the token back into the file dashboard.token_file"},
		{errNoActing, http.StatusForbidden, "Reading only", "set dashboard.token_file, or use the command line or SQL"},
		{errForeign, http.StatusForbidden, "Not from here", "use the dashboard's own pages, or Authorization: Bearer without cookies"},
		{errTooMany, http.StatusServiceUnavailable, "Too many watchers", "close some pages, and try again"},
		{errAway, http.StatusServiceUnavailable, "Database away", "bbmd tries to reach it; its log and /readyz?verbose say why it cannot"},
		{errNoFinalize, http.StatusConflict, "Not finalized", "look at its status, or use `bbmd finalize`"},
	}
}

// problemKnown returns the problem that an error is, and whether it is anybody's but ours.
func problemKnown(err error) (problem, bool) {
	for _, p := range plain() {
		if errors.Is(err, p.err) {
			return problem{Status: p.status, Title: p.title, Hint: p.hint, Detail: err.Error()}, true
		}
	}
	if refused, ok := errors.AsType[*control.RefusalError](err); ok {
		return refusal(refused), true
	}
	if bad, ok := errors.AsType[*badRequestError](err); ok {
		return problem{Status: http.StatusBadRequest, Title: "Bad request", Detail: bad.detail, Hint: bad.hint}, true
	}
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return problem{Status: http.StatusRequestEntityTooLarge, Title: "Too long", Detail: "the request is too long", Hint: "send a megabyte at most"}, true
	}
	if answer, ok := errors.AsType[*pgconn.PgError](err); ok {
		return problem{
			Status: http.StatusInternalServerError, Title: "Error of PostgreSQL", Detail: answer.Message, SQLState: answer.Code,
			Hint: strings.TrimSpace("the log of bbmd has more. " + answer.Hint),
		}, true
	}
	return problem{
		Status: http.StatusInternalServerError, Title: "Unexpected", Detail: err.Error(), Hint: "the log of bbmd has more",
	}, false
}

// inSQL finds calls in hints that are written for people who use SQL.
var inSQL = regexp.MustCompile(`SELECT bbm\.(\w+)\([^)]*\)`)

func refusal(r *control.RefusalError) problem {
	p := problem{Status: http.StatusUnprocessableEntity, Title: "Refused", Detail: r.Message, SQLState: r.SQLState}
	p.Hint = inSQL.ReplaceAllString(r.Hint, "the action $1")
	switch r.SQLState {
	case control.RefusedUnknown:
		p.Status, p.Title, p.Hint = http.StatusNotFound, "No such migration", "look at the list of migrations"
	case control.RefusedStatus:
		p.Status = http.StatusConflict
	case control.RefusedRight:
		p.Status = http.StatusForbidden
	case control.RefusedName:
		p.Status, p.Hint = http.StatusConflict, "give this one a name of its own"
	case control.RefusedColumn:
		p.Hint = "leave the columns out to walk along the primary key"
	}
	if p.Hint == "" {
		p.Hint = "correct it, and try again"
	}
	return p
}

// fail answers with an error: JSON below /api/, else a page, which is the one to log in where
// that is what is missing.
func (s *Server) fail(w http.ResponseWriter, r *http.Request, err error) {
	p, known := problemKnown(err)
	p.Type = "about:blank"
	p.Detail = s.options.Redact(p.Detail)
	if r.Context().Err() == nil && (!known || p.Status == http.StatusInternalServerError) {
		s.log.ErrorContext(r.Context(), "dashboard cannot answer", "method", r.Method, "path", r.URL.Path, "error", s.options.Redact(err.Error()))
	}
	if errors.Is(err, errToken) {
		s.log.WarnContext(r.Context(), "somebody shows the dashboard a wrong token", "address", addressOf(r))
	}
	if p.Status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", `Bearer realm="bbmd"`)
	}
	if p.Status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "5")
	}
	switch {
	case strings.HasPrefix(r.URL.Path, "/api/"):
		writeJSON(r.Context(), w, p.Status, "application/problem+json", p)
	case p.Status == http.StatusUnauthorized && r.Method == http.MethodGet && !isFragment(r) && r.URL.Path != "/events":
		http.Redirect(w, r, "/login?next="+url.QueryEscape(r.URL.RequestURI()), http.StatusSeeOther)
	default:
		s.showProblem(w, r, p)
	}
}

// writeJSON sends a value. What cannot be sent has nobody left to be told.
func writeJSON(_ context.Context, w http.ResponseWriter, status int, kind string, value any) {
	w.Header().Set("Content-Type", kind)
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(value)
}
