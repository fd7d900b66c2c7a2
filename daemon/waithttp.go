package daemon

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/bbmd-dev/bbmd/internal/await"
	"github.com/bbmd-dev/bbmd/internal/config"
)

// WaitPath is where the daemon answers those who wait without a connection to the database: a
// long poll beside the probes.
const WaitPath = "/v1/wait"

const (
	pollDefault = 10 * time.Second
	pollLongest = 25 * time.Second // less than the server takes to write an answer
)

// WaitAnswer is what the daemon answers at [WaitPath]: with 200 when what is waited for is there, 202 when it is not
// yet, 400 and 404 to a question that is none, 503 when it cannot know.
type WaitAnswer struct {
	Database string `json:"database,omitempty"`
	Reached  bool   `json:"reached"`
	Says     string `json:"says,omitempty"` // what it is waiting for, on one line
	// Failure is what waiting may not mend, and Decide that it is somebody's to decide; nil: nothing is wrong.
	Failure *WaitFailure `json:"failure,omitempty"`
	Decide  bool         `json:"decide,omitempty"`
}

// waitQuestion is a request at [WaitPath].
type waitQuestion struct {
	database *database
	target   await.Target
	timeout  time.Duration
}

// serveWait holds its answer back until what is waited for is there, or for as long as it was asked to.
func (d *Daemon) serveWait(w http.ResponseWriter, r *http.Request) {
	question, status, err := d.waitQuestion(r)
	if err != nil {
		d.answerWait(w, status, WaitAnswer{Says: err.Error()})
		return
	}
	room := question.database.room
	if !room.enter() {
		d.answerWait(w, http.StatusServiceUnavailable, WaitAnswer{Says: fmt.Sprintf("%d wait already", waitersMost)})
		return
	}
	defer room.leave(r.Context())
	status, answer := d.poll(r.Context(), question)
	d.answerWait(w, status, answer)
}

// poll looks, and again at every event, until its time is up.
func (d *Daemon) poll(ctx context.Context, q waitQuestion) (status int, answer WaitAnswer) {
	timer := time.NewTimer(q.timeout)
	defer timer.Stop()
	answer.Database = q.database.name
	for late := false; ; {
		news := q.database.room.next()
		verdict, err := q.database.room.look(ctx, q.target)
		if err != nil {
			answer.Says = err.Error()
			return http.StatusServiceUnavailable, answer
		}
		answer.Reached, answer.Says, answer.Failure = verdict.Reached, verdict.Says, nil
		if verdict.Blocked != nil {
			answer.Failure, answer.Decide = &verdict.Blocked.Failure, verdict.Blocked.Decide
		}
		switch {
		case verdict.Reached:
			return http.StatusOK, answer
		case late:
			return http.StatusAccepted, answer
		}
		select {
		case <-news:
		case <-timer.C: // a last look finds what raised no event
			late = true
		case <-ctx.Done():
			return http.StatusServiceUnavailable, answer
		case <-d.stopping:
			answer.Says = "bbmd is stopping"
			return http.StatusServiceUnavailable, answer
		}
	}
}

func (d *Daemon) waitQuestion(r *http.Request) (q waitQuestion, status int, err error) {
	query := r.URL.Query()
	q.timeout = pollDefault
	if text := query.Get("timeout"); text != "" {
		if q.timeout, err = time.ParseDuration(text); err != nil || q.timeout < 0 {
			return q, http.StatusBadRequest, fmt.Errorf("timeout=%s: write it as 10s, at most %v", text, pollLongest)
		}
	}
	q.timeout = min(q.timeout, pollLongest)
	goals, err := await.ParseGoals(query["for"])
	if err != nil {
		return q, http.StatusBadRequest, err
	}
	if q.database, err = d.waitedFor(query.Get("database")); err != nil {
		return q, http.StatusNotFound, err
	}
	cfg := q.database.bringup.configured()
	q.target = await.Target{Spec: SchemaOptions{}.orDefaults(cfg).spec(cfg, q.database.name), Goals: goals, Strict: query.Get("strict") == "true"}
	if err := q.target.Validate(); err != nil {
		return q, http.StatusBadRequest, err
	}
	return q, 0, nil
}

// waitedFor returns the database of that name, or the only one.
func (d *Daemon) waitedFor(name string) (*database, error) {
	names := make([]string, 0, len(d.databases))
	for _, db := range d.databases {
		if db.name == name || name == "" && len(d.databases) == 1 {
			return db, nil
		}
		names = append(names, db.name)
	}
	if name == "" {
		return nil, fmt.Errorf("%d databases: choose with database= one of %s", len(names), strings.Join(names, ", "))
	}
	return nil, fmt.Errorf("no database %q here: there are %s", name, strings.Join(names, ", "))
}

func (d *Daemon) answerWait(w http.ResponseWriter, status int, answer WaitAnswer) {
	answer.Says = config.Redact(answer.Says)
	if answer.Failure != nil {
		shown := *answer.Failure
		shown.Message, shown.Hint = config.Redact(shown.Message), config.Redact(shown.Hint)
		answer.Failure = &shown
	}
	body, err := json.MarshalIndent(answer, "", "  ")
	if err != nil {
		status, body = http.StatusInternalServerError, []byte("{}")
	}
	header := w.Header()
	header.Set("Content-Type", "application/json")
	header.Set("Cache-Control", "no-store")
	header.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = w.Write(append(body, '\n')) // a client that has gone needs no answer
}

// configured returns the configuration in force.
func (b *bringup) configured() Config {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.config
}
