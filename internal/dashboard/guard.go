package dashboard

import (
	"context"
	"errors"
	"net"
	"net/http"
	"slices"
	"strings"
)

// access is what a route needs.
type access int

const (
	accessOpen access = iota // nothing
	accessRead
	accessAct
)

// route is one thing that is served.
type route struct {
	method  string
	pattern string
	needs   access
	serve   func(w http.ResponseWriter, r *http.Request) error
}

// callerKey is where a request's context has its caller.
type callerKey struct{}

// callerOf returns who has sent the request.
func callerOf(r *http.Request) caller {
	c, _ := r.Context().Value(callerKey{}).(caller)
	return c
}

// table lists everything that is served.
func (s *Server) table() []route {
	return slices.Concat(s.apiRoutes(), s.pageRoutes())
}

func (s *Server) routes() *http.ServeMux {
	mux := http.NewServeMux()
	for _, route := range s.table() {
		mux.Handle(route.method+" "+route.pattern, s.serve(route))
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { s.fail(w, r, errNoPage) })
	return mux
}

// serve admits a request and lets the route answer it.
func (s *Server) serve(route route) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if isFragment(r) {
			s.answer(route, w, r)
			return
		}
		who, wrong := s.keeper.identify(r)
		err := s.keeper.admit(r, who, route.needs)
		if wrong != nil && (errors.Is(err, errWho) || errors.Is(wrong, errToken) && route.needs != accessOpen) {
			err = wrong // it says more
		}
		if err != nil {
			s.fail(w, r, err)
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		s.answer(route, w, r.WithContext(context.WithValue(r.Context(), callerKey{}, who)))
	})
}

func (s *Server) answer(route route, w http.ResponseWriter, r *http.Request) {
	if err := route.serve(w, r); err != nil {
		s.fail(w, r, err)
	}
}

// guard refuses Hosts that are not ours, and says to browsers what pages may do.
func (s *Server) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header := w.Header()
		header.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; "+
			"form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
		header.Set("X-Content-Type-Options", "nosniff")
		header.Set("Referrer-Policy", "same-origin")
		header.Set("Cross-Origin-Opener-Policy", "same-origin")
		header.Set("Cross-Origin-Resource-Policy", "same-origin")
		header.Set("Cache-Control", "no-store")
		if !s.knows(r.Host) {
			s.fail(w, r, errHost)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// knows reports whether a Host is one of ours. A page of somebody else can make its
// own name lead here, and is then refused; it cannot do so with an address.
func (s *Server) knows(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.ToLower(strings.TrimSuffix(strings.Trim(host, "[]"), "."))
	return host == "localhost" || net.ParseIP(host) != nil || slices.Contains(s.options.Hosts, host)
}

// addressOf returns where a request comes from.
func addressOf(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return "unknown"
	}
	return host
}
