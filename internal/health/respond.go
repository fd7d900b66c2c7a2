package health

import (
	"encoding/json"
	"net/http"
	"strings"
)

// endpoint answers one probe over HTTP.
type endpoint struct {
	server *Server
	probe  *probe
	good   string // what a plain answer says
	bad    string
	extra  func() []result // checks of the server's own; may be nil
}

// report is the JSON form of an answer.
type report struct {
	Status string        `json:"status"` // ok or failing
	Checks []checkReport `json:"checks"`
}

type checkReport struct {
	Name       string  `json:"name"`
	Status     string  `json:"status"` // ok or failing
	Error      string  `json:"error,omitempty"`
	DurationMS float64 `json:"duration_ms"`
}

// ServeHTTP answers 200 if every check passes, else 503. Plain text by
// default, one line a check with ?verbose, JSON where it is asked for by
// ?format=json or an Accept header.
func (e *endpoint) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	results := e.probe.run(r.Context(), e.server.options.CheckTimeout)
	if e.extra != nil {
		results = append(results, e.extra()...)
	}
	body, kind := e.plain(results), "text/plain; charset=utf-8"
	switch query := r.URL.Query(); {
	case query.Get("format") == "json" || strings.Contains(r.Header.Get("Accept"), "application/json"):
		body, kind = e.json(results), "application/json"
	case query.Has("verbose"):
		body = e.verbose(results)
	}
	header := w.Header()
	header.Set("Content-Type", kind)
	header.Set("Cache-Control", "no-store")
	header.Set("X-Content-Type-Options", "nosniff")
	if !passed(results) {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	_, _ = w.Write([]byte(body)) // a client that has gone needs no answer
}

func passed(results []result) bool {
	for _, result := range results {
		if result.err != nil {
			return false
		}
	}
	return true
}

// plain is one line: what is good, or every reason why not.
func (e *endpoint) plain(results []result) string {
	if passed(results) {
		return e.good + "\n"
	}
	var reasons []string
	for _, result := range results {
		if result.err != nil {
			reasons = append(reasons, result.name+": "+e.reason(result))
		}
	}
	return e.bad + ": " + strings.Join(reasons, "; ") + "\n"
}

// verbose is one line a check, then the verdict.
func (e *endpoint) verbose(results []result) string {
	var b strings.Builder
	for _, result := range results {
		if result.err == nil {
			b.WriteString("[+] " + result.name + " ok\n")
		} else {
			b.WriteString("[-] " + result.name + ": " + e.reason(result) + "\n")
		}
	}
	if passed(results) {
		return b.String() + e.good + "\n"
	}
	return b.String() + e.bad + "\n"
}

func (e *endpoint) json(results []result) string {
	answer := report{Status: status(passed(results)), Checks: []checkReport{}}
	for _, result := range results {
		check := checkReport{
			Name: result.name, Status: status(result.err == nil),
			DurationMS: float64(result.took.Microseconds()) / 1000,
		}
		if result.err != nil {
			check.Error = e.reason(result)
		}
		answer.Checks = append(answer.Checks, check)
	}
	body, err := json.MarshalIndent(answer, "", "  ")
	if err != nil {
		return "{}" // text and numbers always marshal
	}
	return string(body) + "\n"
}

func status(ok bool) string {
	if ok {
		return "ok"
	}
	return "failing"
}

// reason is an error on one line, without secrets.
func (e *endpoint) reason(r result) string {
	return strings.Join(strings.Fields(e.server.options.Redact(r.err.Error())), " ")
}
