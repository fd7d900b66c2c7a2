package critical

import (
	"cmp"
	"errors"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"github.com/getsentry/sentry-go"
)

// Kind is what happened.
type Kind string

// The kinds of events.
const (
	MigrationFailed Kind = "background migration failed"
	RunFailed       Kind = "schema run failed"
	SourceDown      Kind = "source of events is down"
	PluginCrashes   Kind = "plugin crashes again and again"
)

// Event is something that somebody has to look at. What is empty or 0 does not apply.
type Event struct {
	Kind      Kind
	Database  string
	Migration string
	Work      string
	Table     string
	Job       int64
	Range     string // of the job's keys, where these only say which rows are meant
	Run       int64  // its number in bbm.runs
	Action    string // of a run
	State     string // that a run found the database in
	File      string // the name of the file that failed a run, without its directory
	Line      int
	SQLState  string
	Plugin    string
	For       time.Duration // since when
}

// Options are what a [Reporter] is made of.
type Options struct {
	// DSN is Sentry's. Empty: nobody is told.
	DSN string
	// Environment is what Sentry calls so. Empty: SENTRY_ENVIRONMENT, else production.
	Environment string
	// Version is bbmd's own.
	Version string
	// Logger hears of events that are sent. Required.
	Logger *slog.Logger
}

// Reporter tells Sentry. A nil one tells nobody.
type Reporter struct {
	client *sentry.Client
	sends  *persistent
	log    *slog.Logger
}

// New returns a Reporter, or nil where there is no DSN. The error does not show it.
// [Reporter.Close] has to follow.
func New(o Options) (*Reporter, error) {
	if o.DSN == "" {
		return nil, nil //nolint:nilnil // nil is a Reporter that tells nobody
	}
	sends := newPersistent(o.Logger)
	queue := sentry.NewHTTPTransport()
	queue.BufferSize = queued
	client, err := sentry.NewClient(sentry.ClientOptions{
		Dsn:                    o.DSN,
		Environment:            o.Environment,
		Release:                "bbmd@" + cmp.Or(o.Version, "unknown"),
		MaxBreadcrumbs:         -1,
		DisableTelemetryBuffer: true,
		DisableClientReports:   true,
		Integrations:           func([]sentry.Integration) []sentry.Integration { return nil },
		Transport:              queue,
		HTTPClient:             &http.Client{Transport: sends},
	})
	if err != nil {
		sends.end()
		// The error quotes the DSN.
		return nil, errors.New("sentry.dsn is not one that Sentry gives out: write https://<key>@<host>/<project>")
	}
	return &Reporter{client: client, sends: sends, log: o.Logger}, nil
}

// Report tells Sentry of e. It does not wait.
func (r *Reporter) Report(e Event) {
	if r == nil {
		return
	}
	id := r.client.CaptureEvent(e.sentry(), nil, nil)
	if id == nil {
		r.log.Warn("error not reported", "event", string(e.Kind))
		return
	}
	r.log.Debug("error reported", "event", string(e.Kind), "event_id", string(*id))
}

// Close sends what is left, for at most the given time, and ends. It is called once, and no report follows.
func (r *Reporter) Close(within time.Duration) {
	if r == nil {
		return
	}
	close(r.sends.hurry)
	r.client.Flush(within)
	r.client.Close()
	r.sends.end()
}

// sentry returns what is sent.
func (e Event) sentry() *sentry.Event {
	event := sentry.NewEvent()
	event.Level = sentry.LevelError
	event.Logger = "bbmd"
	event.Platform = "go"
	event.Message = string(e.Kind)
	event.Fingerprint = []string{string(e.Kind), e.Database, e.Migration, e.Plugin, e.Action, e.File, e.SQLState}
	event.Tags = map[string]string{}
	for name, value := range map[string]string{
		"database": e.Database, "migration": e.Migration, "work": e.Work, "table": e.Table,
		"sqlstate": e.SQLState, "plugin": e.Plugin, "action": e.Action, "state": e.State,
	} {
		if value != "" {
			event.Tags[name] = value
		}
	}
	details := sentry.Context{}
	if e.Job != 0 {
		details["job"] = strconv.FormatInt(e.Job, 10)
	}
	if e.Run != 0 {
		details["run"] = strconv.FormatInt(e.Run, 10)
	}
	if e.Range != "" {
		details["range"] = e.Range
	}
	if e.File != "" {
		details["file"], details["line"] = e.File, e.Line
	}
	if e.For != 0 {
		details["for"] = e.For.Round(time.Second).String()
	}
	if len(details) > 0 {
		event.Contexts["bbmd"] = details
	}
	return event
}
