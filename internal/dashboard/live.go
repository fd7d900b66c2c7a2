package dashboard

import (
	"bytes"
	"context"
	"errors"
	"sync"
	"time"
)

const (
	// mostWatchers is how many may watch at a time, all pages together.
	mostWatchers = 256
	// lookInterval is the least time between two looks for the same page.
	lookInterval = time.Second
)

// errTooMany refuses a watcher.
var errTooMany = errors.New("too many are watching already")

// hub keeps those who watch up to date: one look for all who watch the same.
type hub struct {
	ctx    context.Context // of the looks
	cancel context.CancelFunc

	mu       sync.Mutex
	topics   map[string]*topic
	watchers int
	closed   bool
	running  sync.WaitGroup
}

// topic is something that is watched.
type topic struct {
	key      string
	database string // it is about; empty: all
	render   func(context.Context) []byte
	dirty    chan struct{}
	stop     context.CancelFunc
	watchers map[*watcher]struct{}
	last     []byte // what was rendered last; nil: nothing yet
}

// watcher is somebody who watches a topic.
type watcher struct {
	latest chan []byte // what is not sent yet: the latest only
}

func newHub() *hub {
	ctx, cancel := context.WithCancel(context.Background())
	return &hub{ctx: ctx, cancel: cancel, topics: map[string]*topic{}}
}

// subscribe returns a watcher of the topic with that key, which render makes
// whenever something has changed in the database. leave has to be called.
func (h *hub) subscribe(key, database string, render func(context.Context) []byte) (w *watcher, leave func(), err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed || h.watchers >= mostWatchers {
		return nil, nil, errTooMany
	}
	t := h.topics[key]
	if t == nil {
		t = h.open(key, database, render)
	}
	w = &watcher{latest: make(chan []byte, 1)}
	if t.last != nil {
		w.latest <- t.last
	}
	t.watchers[w] = struct{}{}
	h.watchers++
	return w, func() { h.leave(t, w) }, nil
}

// open begins to look for a topic.
func (h *hub) open(key, database string, render func(context.Context) []byte) *topic {
	ctx, stop := context.WithCancel(h.ctx)
	t := &topic{
		key: key, database: database, render: render, stop: stop,
		dirty: make(chan struct{}, 1), watchers: map[*watcher]struct{}{},
	}
	t.touch()
	h.topics[key] = t
	h.running.Go(func() { h.keep(ctx, t) })
	return t
}

// leave forgets a watcher, and the topic with the last of them.
func (h *hub) leave(t *topic, w *watcher) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(t.watchers, w)
	h.watchers--
	if len(t.watchers) == 0 {
		t.stop()
		delete(h.topics, t.key)
	}
}

// changed makes what is watched of a database be looked at again.
func (h *hub) changed(database string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, t := range h.topics {
		if t.database == "" || t.database == database {
			t.touch()
		}
	}
}

func (t *topic) touch() {
	select {
	case t.dirty <- struct{}{}:
	default:
	}
}

// keep looks whenever something has changed: at once, unless it has looked just before. What
// changes meanwhile, however often, is seen by one look.
func (h *hub) keep(ctx context.Context, t *topic) {
	rest := time.NewTimer(0)
	defer rest.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-rest.C:
		}
		select {
		case <-ctx.Done():
			return
		case <-t.dirty:
		}
		h.publish(t, t.render(ctx))
		rest.Reset(lookInterval)
	}
}

// publish gives every watcher what is new, where something was found. One that has not taken what was
// there before never sees that.
func (h *hub) publish(t *topic, content []byte) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if content == nil || bytes.Equal(t.last, content) {
		return
	}
	t.last = content
	for w := range t.watchers {
		select {
		case <-w.latest:
		default:
		}
		w.latest <- content // empty: it is filled under the lock alone
	}
}

// close ends all looks, and waits for them. The watchers are gone by then, or
// see nothing more.
func (h *hub) close() {
	h.mu.Lock()
	h.closed = true
	h.mu.Unlock()
	h.cancel()
	h.running.Wait()
}
