package daemon_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	trace "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/bbmd-dev/bbmd/daemon"
	"github.com/bbmd-dev/bbmd/internal/config"
	"github.com/bbmd-dev/bbmd/registry"
	"github.com/bbmd-dev/bbmd/testing/pgtest"
)

// waitMetric waits until a metric has at least that value.
func (i *instance) waitMetric(series string, least float64) {
	i.t.Helper()
	require.Eventually(i.t, func() bool { return i.metric(series) >= least }, patience, 5*time.Millisecond, series)
}

// fakeSentry takes events, and returns what was posted.
func fakeSentry(t *testing.T) (dsn string, posted chan []byte) {
	t.Helper()
	posted = make(chan []byte, 100)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err == nil {
			posted <- body
		}
	}))
	t.Cleanup(server.Close)
	return strings.Replace(server.URL, "http://", "http://s3cr3tk3y@", 1) + "/42", posted
}

// sentryEvent is what is read of an event.
type sentryEvent struct {
	Message  string
	Level    string
	Tags     map[string]string
	Contexts map[string]map[string]any
}

// next waits for the next event, and returns it with what was posted.
func next(t *testing.T, posted chan []byte) (event sentryEvent, raw string) {
	t.Helper()
	select {
	case body := <-posted:
		lines := bufio.NewScanner(bytes.NewReader(body))
		lines.Buffer(nil, 1<<20)
		for range 3 { // the envelope's header, the item's, and the item
			require.True(t, lines.Scan())
		}
		require.NoError(t, json.Unmarshal(lines.Bytes(), &event), lines.Text())
		return event, string(body)
	case <-time.After(patience):
		require.FailNow(t, "nothing was reported")
		return event, ""
	}
}

func TestFailedMigrationIsReportedOnceAndWithoutData(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	db.Exec(t, "CREATE TABLE t (id bigint PRIMARY KEY, email text UNIQUE); INSERT INTO t SELECT i, 'private-' || i FROM generate_series(1, 100) i")
	refuse := registry.Work{Name: "refuse", SQL: func(m registry.Migration) (registry.Statement, error) {
		return registry.ParseStatement("UPDATE " + m.Table + " SET email = 'private-1' WHERE :range AND id > 1")
	}}
	dsn, posted := fakeSentry(t)
	cfg := configFor(t, db)
	cfg.Sentry.DSN = config.Secret(dsn)
	d := start(t, cfg, works(t, refuse), daemon.WithVersion("v7"))
	d.waitReady()
	db.Exec(t, "SELECT bbm.enqueue('refuse', 't', name => 'm', max_attempts => 1, batch_size => 100)")
	event, raw := next(t, posted)
	require.Equal(t, "background migration failed", event.Message)
	require.Equal(t, "error", event.Level)
	require.Equal(t, "default", event.Tags["database"])
	require.Equal(t, "m", event.Tags["migration"])
	require.Equal(t, "refuse", event.Tags["work"])
	require.Equal(t, "23505", event.Tags["sqlstate"])
	require.Contains(t, event.Contexts["bbmd"]["range"], "keys ")
	require.NotEmpty(t, event.Contexts["bbmd"]["job"])
	require.Contains(t, raw, "bbmd@v7")
	require.NotContains(t, raw, "private")
	require.NotContains(t, d.log.String(), "s3cr3tk3y")
	d.stop()
	require.Empty(t, posted, "it was reported twice")
}

func TestFailedRunIsReportedOnce(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "00001_users.sql"), []byte("-- +goose Up\nCREATE TABLE users (id int);\nINSERT INTO users SELECT 1 / 0; -- private\n"), 0o600))
	dsn, posted := fakeSentry(t)
	cfg := configOf(map[string]string{"default": db.URL})
	database := cfg.Databases["default"]
	database.Schema = daemon.DefaultSchema()
	database.Schema.Migrations = dir
	cfg.Databases["default"] = database
	cfg.Sentry.DSN = config.Secret(dsn)
	d := start(t, cfg)
	event, raw := next(t, posted)
	require.Equal(t, "schema run failed", event.Message)
	require.Equal(t, "default", event.Tags["database"])
	require.Equal(t, "22012", event.Tags["sqlstate"])
	require.Equal(t, "migrate", event.Tags["action"])
	require.Equal(t, "00001_users.sql", event.Contexts["bbmd"]["file"])
	require.NotContains(t, raw, "private")
	require.NotContains(t, raw, dir)
	d.waitMetric(`bbmd_listener_connected{database="default"}`, 1)
	heard := d.metric(`bbmd_events_total{channel="bbm_status",database="default"}`)
	db.Exec(t, "NOTIFY bbm_status") // somebody acted: it looks again, finds the same, and does not try
	d.waitMetric(`bbmd_events_total{channel="bbm_status",database="default"}`, heard+1)
	d.stop()
	require.Empty(t, posted, "it was reported twice")
}

func TestSourceThatIsDownForLongIsReportedOnce(t *testing.T) {
	t.Parallel()
	dsn, posted := fakeSentry(t)
	cfg := configOf(map[string]string{"gone": "postgres://me:s3cr3tw0rd@127.0.0.1:1/nowhere"})
	cfg.Sentry.DSN = config.Secret(dsn)
	d := start(t, cfg, daemon.WithLongOutage(10*time.Millisecond))
	event, raw := next(t, posted)
	require.Equal(t, "source of events is down", event.Message)
	require.Equal(t, "gone", event.Tags["database"])
	require.NotContains(t, raw, "s3cr3tw0rd")
	require.Equal(t, 1, strings.Count(d.log.String(), "no events have arrived for long"))
	d.stop()
	require.Empty(t, posted, "it was reported twice")
}

func TestNothingIsReportedWhenNothingIsWrong(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	dsn, posted := fakeSentry(t)
	cfg := configFor(t, db)
	cfg.Sentry.DSN = config.Secret(dsn)
	d := start(t, cfg)
	d.waitReady()
	d.stop()
	require.Empty(t, posted)
}

// fakeCollector takes spans, and passes them on.
func fakeCollector(t *testing.T) (url string, spans chan *trace.ResourceSpans) {
	t.Helper()
	spans = make(chan *trace.ResourceSpans, 1000)
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/traces", func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		var request collector.ExportTraceServiceRequest
		if proto.Unmarshal(body, &request) != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		for _, from := range request.GetResourceSpans() {
			spans <- from
		}
		w.Header().Set("Content-Type", "application/x-protobuf")
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server.URL, spans
}

func TestTraces(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	db.Exec(t, `CREATE TABLE t (id bigint PRIMARY KEY, n int NOT NULL DEFAULT 0); INSERT INTO t SELECT generate_series(1, 50);
		CREATE TABLE u (name text PRIMARY KEY, n int NOT NULL DEFAULT 0); INSERT INTO u SELECT 'private-' || i FROM generate_series(1, 50) i`)
	inGo := registry.Work{Name: "in_go", Run: func(ctx context.Context, tx pgx.Tx, b registry.Batch) (registry.Result, error) {
		tag, err := tx.Exec(ctx, "UPDATE "+b.Table+" SET n = n + 1 WHERE "+b.Where()+" AND 'private' <> ''", b.Args()...)
		return registry.Affected(tag), err
	}}
	url, received := fakeCollector(t)
	cfg := configFor(t, db)
	cfg.Tracing.Endpoint = url
	cfg.BackgroundMigrations.TargetDuration = 0 // sizes stay
	d := start(t, cfg, works(t, bump(), inGo), daemon.WithVersion("v7"))
	d.waitReady()
	db.Exec(t, "SELECT bbm.enqueue('bump', 't', name => 'piped', batch_size => 25); SELECT bbm.enqueue('in_go', 'u', name => 'called', batch_size => 25)")
	db.WaitFor(t, "SELECT count(*) = 2 FROM bbm.batched_background_migrations WHERE status = 'finished'")
	d.stop() // which sends the rest
	close(received)

	found := map[string][]*trace.Span{} // by name and migration
	children := map[string][]string{}   // statements, by their parent
	for from := range received {
		require.Equal(t, "bbmd", attribute(from.GetResource().GetAttributes(), "service.name"))
		require.Equal(t, "v7", attribute(from.GetResource().GetAttributes(), "service.version"))
		for _, scope := range from.GetScopeSpans() {
			for _, span := range scope.GetSpans() {
				require.NotContains(t, span.String(), "private")
				require.NotContains(t, span.String(), "UPDATE t")
				key := span.GetName() + " " + attribute(span.GetAttributes(), "bbmd.migration")
				found[key] = append(found[key], span)
				if span.GetName() == "statement" {
					parent := string(span.GetParentSpanId())
					children[parent] = append(children[parent], attribute(span.GetAttributes(), "bbmd.statement"))
				}
			}
		}
	}
	require.NotEmpty(t, found["reconcile "])
	require.NotEmpty(t, found["claim piped"])
	require.NotEmpty(t, found["claim called"])
	require.Len(t, found["batch piped"], 2)
	require.Len(t, found["batch called"], 2)
	for migration, statements := range map[string][]string{"piped": {"fence", "work"}, "called": {"work", "commit"}} {
		for _, batch := range found["batch "+migration] {
			require.Equal(t, "default", attribute(batch.GetAttributes(), "bbmd.database"))
			require.NotEmpty(t, attribute(batch.GetAttributes(), "bbmd.job.id"))
			require.Equal(t, "25", attribute(batch.GetAttributes(), "bbmd.batch.rows"))
			require.Equal(t, migration == "piped", attribute(batch.GetAttributes(), "bbmd.job.range") != "", "a text key may be data")
			require.ElementsMatch(t, statements, children[string(batch.GetSpanId())])
			require.Greater(t, batch.GetEndTimeUnixNano(), batch.GetStartTimeUnixNano())
		}
	}
}

func attribute(all []*common.KeyValue, key string) string {
	for _, a := range all {
		if a.GetKey() != key {
			continue
		}
		if n, ok := a.GetValue().GetValue().(*common.AnyValue_IntValue); ok {
			return strconv.FormatInt(n.IntValue, 10)
		}
		return a.GetValue().GetStringValue()
	}
	return ""
}
