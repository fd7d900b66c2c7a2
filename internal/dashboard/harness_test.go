package dashboard_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/internal/control"
	"github.com/bbmd-dev/bbmd/internal/dashboard"
	"github.com/bbmd-dev/bbmd/testing/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

const (
	patience = 30 * time.Second
	token    = "a token of the tests"
	// longestRequest is shorter than in production: streams have to outlive it.
	longestRequest = 3 * time.Second
)

var errStop = errors.New("the test is over")

// site is a dashboard that runs.
type site struct {
	*dashboard.Server

	t    *testing.T
	base string
	stop func() // and wait
}

// setup may change the options before the dashboard starts.
type setup func(*dashboard.Options)

func withToken(o *dashboard.Options) { o.Token = func() (string, error) { return token, nil } }

// database returns how a test's database is shown.
func database(t *testing.T, name string, db *pgtest.Database) dashboard.Database {
	t.Helper()
	pool := db.Pool(t)
	return dashboard.Database{
		Name: name, DB: func() control.TxDB { return pool },
		Checks: func(context.Context) []dashboard.Check {
			return []dashboard.Check{{Name: "database"}, {Name: "listener"}}
		},
		Schema: func(context.Context) dashboard.Schema {
			return dashboard.Schema{Configured: true, State: "VERSIONED", Tool: "goose", Current: []string{"00042"}, UpToDate: true}
		},
		CheckThrottle: func(raw json.RawMessage) error {
			if strings.Contains(string(raw), "dutty") {
				return errors.New("there is no key dutty")
			}
			return nil
		},
		Finalize: func(migration string) error {
			if migration == "busy" {
				return errors.New("it is being finalized already")
			}
			return nil
		},
	}
}

func works() []dashboard.Work {
	return []dashboard.Work{
		{Name: "backfill_column", Version: 1, Kind: "compiled", Summary: "Computes a column.", Arguments: []dashboard.Argument{
			{Name: "column", Type: "string"},
			{Name: "expression", Type: "string"},
			{Name: "force", Type: "boolean", Nullable: true},
			{Name: "limit", Type: "number", Nullable: true},
			{Name: "tags", Type: "array", Nullable: true},
		}, Validate: func(raw json.RawMessage) error {
			if !strings.Contains(string(raw), `"column"`) {
				return errors.New(`arguments of backfill_column: argument "column" is missing`)
			}
			return nil
		}},
		{Name: "plain", Version: 2, Kind: "sql", Summary: "Takes nothing.", Arguments: []dashboard.Argument{}},
	}
}

// start runs a dashboard of the databases until the test ends.
func start(t *testing.T, databases []dashboard.Database, setups ...setup) *site {
	t.Helper()
	options := dashboard.Options{
		Listen: "127.0.0.1:0", Databases: databases, Version: "v1.2.3", Works: works,
		Plugins: func() []dashboard.Plugin {
			return []dashboard.Plugin{{Name: "plain", Kind: "sql", Path: "/etc/bbmd/plugins.d/plain.sql", Digest: "sha256:" + strings.Repeat("ab", 32), State: "ok", Usable: true, Works: []string{"plain"}}}
		},
		Logger: slog.New(slog.NewTextHandler(t.Output(), nil)),
	}
	for _, s := range setups {
		s(&options)
	}
	server, err := dashboard.New(options)
	require.NoError(t, err)
	server.SetReadTimeout(longestRequest)
	require.NoError(t, server.Listen(t.Context()))
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- server.Run(ctx) }()
	s := &site{Server: server, t: t, base: "http://" + server.Addr().String()}
	stopped := false
	s.stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel(errStop)
		select {
		case err := <-done:
			require.ErrorIs(t, err, errStop)
		case <-time.After(patience):
			t.Error("the dashboard does not stop")
		}
	}
	t.Cleanup(s.stop)
	return s
}

// one is a dashboard of one database.
func one(t *testing.T, setups ...setup) (*site, *pgtest.Database) {
	t.Helper()
	db := pgtest.New(t)
	return start(t, []dashboard.Database{database(t, "auth", db)}, setups...), db
}

// request is one to the dashboard; edit may change it.
func (s *site) request(method, path string, body any, edits ...func(*http.Request)) *http.Request {
	s.t.Helper()
	var content io.Reader = http.NoBody
	kind := ""
	switch body := body.(type) {
	case nil:
	case url.Values:
		content, kind = strings.NewReader(body.Encode()), "application/x-www-form-urlencoded"
	default:
		text, err := json.Marshal(body)
		require.NoError(s.t, err)
		content, kind = bytes.NewReader(text), "application/json"
	}
	r, err := http.NewRequestWithContext(s.t.Context(), method, s.base+path, content)
	require.NoError(s.t, err)
	if kind != "" {
		r.Header.Set("Content-Type", kind)
	}
	for _, edit := range edits {
		edit(r)
	}
	return r
}

func bearer(r *http.Request) { r.Header.Set("Authorization", "Bearer "+token) }

// answer is what came back.
type answer struct {
	*http.Response

	body string
}

// do sends a request; redirects are answers.
func (s *site) do(method, path string, body any, edits ...func(*http.Request)) answer {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	client := http.Client{
		Transport:     &http.Transport{DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	response, err := client.Do(s.request(method, path, body, edits...).WithContext(ctx))
	require.NoError(s.t, err)
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	require.NoError(s.t, err)
	return answer{response, string(text)}
}

// get is a page that has to be there.
func (s *site) get(path string, edits ...func(*http.Request)) string {
	s.t.Helper()
	a := s.do(http.MethodGet, path, nil, edits...)
	require.Equal(s.t, http.StatusOK, a.StatusCode, a.body)
	return a.body
}

// login returns what sends the cookie of a session of ines, from a page of the dashboard.
func (s *site) login() func(*http.Request) {
	s.t.Helper()
	a := s.do(http.MethodPost, "/login", url.Values{"token": {token}, "name": {"ines"}})
	require.Equal(s.t, http.StatusSeeOther, a.StatusCode, a.body)
	require.Len(s.t, a.Cookies(), 1)
	cookie := a.Cookies()[0]
	return func(r *http.Request) {
		r.AddCookie(cookie)
		r.Header.Set("Origin", s.base)
		r.Header.Set("Sec-Fetch-Site", "same-origin")
	}
}

// seed fills a database with migrations in every state, and with what goes with them.
func seed(t *testing.T, db *pgtest.Database) {
	t.Helper()
	db.Exec(t, `CREATE TABLE users (id bigint PRIMARY KEY); CREATE TABLE orders (id bigint PRIMARY KEY); CREATE TABLE events (id bigint PRIMARY KEY);
		CREATE TABLE invoices (id bigint PRIMARY KEY); CREATE TABLE carts (id bigint PRIMARY KEY)`)
	db.Exec(t, `SELECT bbm.enqueue('backfill_column', 'users', '{"column": "email_norm", "expression": "lower(email)"}', name => 'users_email_norm');
		SELECT bbm.enqueue('copy_column', 'orders', '{"from": "id", "to": "id_bigint"}', name => 'orders_id_bigint');
		SELECT bbm.enqueue('execute_sql', 'events', name => 'events_total', parallelism => 4);
		SELECT bbm.enqueue('delete_orphans', 'invoices', name => 'invoices_orphans', max_quarantined => 5);
		SELECT bbm.enqueue('delete_rows', 'carts', name => 'carts_old');
		SELECT bbm.enqueue('plain', 'users', name => 'users_<b>odd</b> & "name"/x', depends_on => '{users_email_norm}')`)
	db.Exec(t, `UPDATE bbm.batched_background_migrations SET status = 'running', table_oid = table_name::regclass, key_columns = '{id}', key_types = '{bigint}',
		min_value = '1', max_value = '50000000', work_version = 1, total_tuple_count = 50000000, started_at = clock_timestamp() - interval '95 minutes'
		WHERE name IN ('users_email_norm', 'orders_id_bigint', 'events_total', 'invoices_orphans', 'carts_old')`)
	db.Exec(t, `INSERT INTO bbm.batched_background_migration_jobs (batched_background_migration_id, ordinal, after_value, max_value, batch_size, status, duration_ms, rows_affected, started_at, finished_at)
		SELECT m.id, i, (i * 1000)::text, ((i + 1) * 1000)::text, (1000 + 24000 * (1 - exp(-i / 90.0)) * (1 + 0.15 * sin(i / 7.0)))::int, 'finished',
		  50 + 14 * sin(i / 5.0) + 9 * cos(i * 1.7), 900, clock_timestamp(), clock_timestamp() - interval '1 second' * (800 - i)
		FROM bbm.batched_background_migrations m, generate_series(1, 800) i WHERE m.status = 'running'`)
	db.Exec(t, `INSERT INTO bbm.counters (batched_background_migration_id, owner, batches, keys, rows, batch_size, p90_ms, batch_size_reason, throttled, percent, updated_at, window_start, window_keys, earlier_start, earlier_keys)
		SELECT id, 1, 800, 18432000, 17911004, 24315, 48.2, 'p90 48 ms is near the target of 50 ms', CASE name WHEN 'users_email_norm' THEN 'works 62 % of the time: 3 of 8 cores are busy with others' END, 36.9,
		  at, at - interval '10 seconds', 96000, at - interval '25 seconds', 144000
		FROM bbm.batched_background_migrations, (SELECT now() + interval '1 hour' AS at) later WHERE status = 'running'`) // so that the speed falls no more
	db.Exec(t, `UPDATE bbm.transitions SET at = at - interval '95 minutes'`)
	db.Exec(t, `INSERT INTO bbm.batched_background_migration_jobs (batched_background_migration_id, ordinal, after_value, max_value, batch_size, status, attempts, error_message, error_sqlstate)
		SELECT id, 801, '18432000', '18432500', 500, 'failed', 5, E'invalid input syntax for type integer: "<script>alert(1)</script>"\nLINE 3: in statement', '22P02' FROM bbm.batched_background_migrations WHERE name = 'carts_old'`)
	db.Exec(t, `INSERT INTO bbm.batched_background_migration_jobs (batched_background_migration_id, ordinal, after_value, max_value, batch_size, status, attempts, error_message, error_sqlstate, next_attempt_at)
		SELECT id, 801, '18432000', '18432500', 500, 'pending', 2, 'canceling statement due to statement timeout', '57014', clock_timestamp() + interval '1 hour' FROM bbm.batched_background_migrations WHERE name = 'invoices_orphans'`)
	db.Exec(t, `INSERT INTO bbm.quarantine (batched_background_migration_id, batched_background_migration_job_id, key, attempts, error_message, error_sqlstate)
		SELECT m.id, j.id, j.max_value, 5, 'value too long for type character varying(64)', '22001' FROM bbm.batched_background_migrations m
		JOIN bbm.batched_background_migration_jobs j ON j.batched_background_migration_id = m.id AND j.ordinal IN (17, 404) WHERE m.name = 'invoices_orphans'`)
	db.Exec(t, `SELECT bbm.pause('orders_id_bigint', 'quarter end: Ines asks for quiet until Monday')`)
	db.Exec(t, `UPDATE bbm.batched_background_migrations SET status = 'failed', error_message = E'job 4805 failed 5 times: invalid input syntax for type integer: "n/a"', error_sqlstate = '22P02', failure_error_code = 4 WHERE name = 'carts_old'`)
	db.Exec(t, `UPDATE bbm.batched_background_migrations SET status = 'finished' WHERE name = 'events_total'`)
	db.Exec(t, `UPDATE bbm.batched_background_migrations SET status_reason = 'waits for users_email_norm (running)' WHERE name LIKE 'users_<b>%'`)
	db.Exec(t, `UPDATE bbm.batched_background_migrations SET parallelism = 3, target_duration = '50 ms', throttle = '{"duty": 0.5}' WHERE name = 'users_email_norm'`)
	db.Exec(t, `INSERT INTO bbm.runs (action, outcome, state_before, tool, from_versions, to_versions, plan, log, error_message, error_sqlstate, error_file, error_line, host, backend_pid, bbmd_version, finished_at)
		VALUES ('migrate', 'failed', 'VERSIONED', 'goose', '{00041}', '{00042}', '{}', E'running 00042_add_index.sql\nERROR: canceling statement due to lock timeout\n', 'canceling statement due to lock timeout', '55P03', '00042_add_index.sql', 3, 'bbmd-7f9c', 4711, 'v1.2.2', clock_timestamp()),
		('migrate', 'finished', 'VERSIONED', 'goose', '{00041}', '{00042}', '{}', E'running 00042_add_index.sql\nok\n', NULL, NULL, NULL, NULL, 'bbmd-7f9c', 4712, 'v1.2.3', clock_timestamp())`)
	db.Exec(t, `INSERT INTO bbm.run_steps (run_id, ordinal, does, version, name, file, finished_at) VALUES (2, 1, 'migrate', '00042', 'add_index', '00042_add_index.sql', clock_timestamp())`)
}
