package dashboard

import (
	"context"
	"testing"
	"time"
)

// OpenAPI describes the API.
var OpenAPI = openAPI

// Routes lists everything that is served.
func Routes(t *testing.T) []string {
	t.Helper()
	s, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, route := range s.table() {
		all = append(all, route.method+" "+route.pattern)
	}
	s.live.close()
	return all
}

// SetReadTimeout sets how long a request may take to arrive, before Run.
func (s *Server) SetReadTimeout(d time.Duration) { s.readTimeout = d }

// MostWatchers and LookInterval bound what is watched.
const (
	MostWatchers = mostWatchers
	LookInterval = lookInterval
)

// Hub is what keeps watchers up to date.
type Hub struct{ hub *hub }

// NewHub returns one.
func NewHub() Hub { return Hub{newHub()} }

// Subscribe returns what a watcher is told, and what ends that.
func (h Hub) Subscribe(key, database string, render func(context.Context) []byte) (latest <-chan []byte, leave func(), err error) {
	w, leave, err := h.hub.subscribe(key, database, render)
	if err != nil {
		return nil, nil, err
	}
	return w.latest, leave, nil
}

// Changed says that something has.
func (h Hub) Changed(database string) { h.hub.changed(database) }

// Close ends it.
func (h Hub) Close() { h.hub.close() }

// Topics is how many are kept.
func (h Hub) Topics() int {
	h.hub.mu.Lock()
	defer h.hub.mu.Unlock()
	return len(h.hub.topics)
}

// Seal and OpenSession make and read the cookie of a session.
var (
	Seal        = seal
	OpenSession = openSession
)
