package dashboard

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/bbmd-dev/bbmd/internal/control"
)

const (
	// heartbeat is how often a stream says that it is there, for proxies, and to
	// notice who has gone.
	heartbeat = 25 * time.Second
	// slowest is how long a watcher may take to read what it is sent.
	slowest = 10 * time.Second
	// endedShown is how many migrations that are over a list shows.
	endedShown = 20
)

// stream sends what a topic has to say until the watcher, or the server, ends.
// name is what every event is called.
func (s *Server) stream(w http.ResponseWriter, r *http.Request, name, key, database string, render func(context.Context) []byte) error {
	watcher, leave, err := s.live.subscribe(key, database, s.surviving(render)) //nolint:contextcheck // others may watch the same when this one has gone
	if err != nil {
		return err
	}
	defer leave()
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("X-Accel-Buffering", "no") // nginx would wait for more
	out := http.NewResponseController(w)
	// The request has arrived: what bounded that would end the stream.
	if err := out.SetReadDeadline(time.Time{}); err != nil {
		return fmt.Errorf("stream: %w", err)
	}
	send := func(text []byte) error {
		if err := out.SetWriteDeadline(time.Now().Add(slowest)); err != nil {
			return err
		}
		if _, err := w.Write(text); err != nil {
			return err
		}
		return out.Flush()
	}
	beat := time.NewTicker(heartbeat)
	defer beat.Stop()
	for text := []byte("retry: 2000\n\n"); ; {
		if err := send(text); err != nil {
			return nil // it has gone, or is too slow: nobody is left to be told
		}
		select {
		case content := <-watcher.latest:
			text = event(name, content)
		case <-beat.C:
			text = []byte(": still here\n\n")
		case <-r.Context().Done():
			return nil
		case <-s.stopping:
			return nil
		}
	}
}

// surviving keeps a look that panics from ending the daemon: it has found nothing, and others go on.
func (s *Server) surviving(render func(context.Context) []byte) func(context.Context) []byte {
	return func(ctx context.Context) (text []byte) {
		defer s.survive(ctx)
		return render(ctx)
	}
}

// survive is deferred where nobody else would recover.
func (s *Server) survive(ctx context.Context) {
	if reason := recover(); reason != nil {
		s.log.ErrorContext(ctx, "the dashboard has panicked", "panic", reason)
	}
}

// event renders one server-sent event.
func event(name string, content []byte) []byte {
	var b bytes.Buffer
	b.WriteString("event: " + name + "\ndata: ")
	b.Write(bytes.ReplaceAll(bytes.ReplaceAll(content, []byte("\r"), nil), []byte("\n"), []byte("\ndata: ")))
	b.WriteString("\n\n")
	return b.Bytes()
}

// change is what the stream of a database sends.
type change struct {
	databaseState

	Migrations []control.Progress `json:"migrations"`
	Error      string             `json:"error"` // why the migrations are not known
}

func (s *Server) getEvents(w http.ResponseWriter, r *http.Request) error {
	d, err := s.database(r)
	if err != nil {
		return err
	}
	return s.stream(w, r, "migrations", "api\x00"+d.Name, d.Name, func(ctx context.Context) []byte {
		all, err := d.migrations(ctx)
		now := change{databaseState: d.state(ctx), Migrations: append([]control.Progress{}, all...)}
		if err != nil {
			now.Error = s.options.Redact(err.Error())
		}
		text, err := json.Marshal(now)
		if err != nil {
			return []byte("{}") // plain data always marshals
		}
		return text
	})
}

// migrations reads those that are not over, and the latest that are.
func (d *database) migrations(ctx context.Context) (all []control.Progress, err error) {
	err = d.ask(ctx, func(ctx context.Context, db control.TxDB) (err error) {
		all, err = d.Store.Progress(ctx, db, control.Selection{Ended: endedShown})
		return err
	})
	return all, err
}
