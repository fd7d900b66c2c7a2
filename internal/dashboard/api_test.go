package dashboard_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers/gorillamux"
	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/internal/dashboard"
	"github.com/bbmd-dev/bbmd/testing/pgtest"
)

func description(t *testing.T) *openapi3.T {
	t.Helper()
	doc, err := openapi3.NewLoader().LoadFromData(dashboard.OpenAPI)
	require.NoError(t, err)
	require.NoError(t, doc.Validate(t.Context()))
	return doc
}

// Every route is described, and every description has its route.
func TestDescriptionHasTheRoutes(t *testing.T) {
	t.Parallel()
	var described []string
	for path, item := range description(t).Paths.Map() {
		for method := range item.Operations() {
			described = append(described, method+" "+path)
		}
	}
	served := slices.DeleteFunc(dashboard.Routes(t), func(route string) bool { return !strings.Contains(route, " /api/") })
	slices.Sort(described)
	slices.Sort(served)
	require.Equal(t, served, described)
}

// api sends requests, and holds them and their answers against the description.
type api struct {
	*site

	doc     *openapi3.T
	answers map[string]bool // operations that were answered as they should be
}

func newAPI(t *testing.T, s *site) *api {
	t.Helper()
	return &api{site: s, doc: description(t), answers: map[string]bool{}}
}

// call sends a request that has to be answered with that status.
func (a *api) call(status int, method, path string, body any, edits ...func(*http.Request)) map[string]any {
	a.t.Helper()
	edits = append([]func(*http.Request){bearer}, edits...)
	got := a.do(method, path, body, edits...)
	require.Equal(a.t, status, got.StatusCode, "%s %s: %s", method, path, got.body)
	router, err := gorillamux.NewRouter(a.doc)
	require.NoError(a.t, err)
	sent := a.request(method, path, body, edits...)
	sent.URL = &url.URL{Path: sent.URL.Path, RawPath: sent.URL.RawPath, RawQuery: sent.URL.RawQuery}
	route, parameters, err := router.FindRoute(sent)
	require.NoError(a.t, err, path)
	input := &openapi3filter.RequestValidationInput{
		Request: sent, PathParams: parameters, Route: route,
		Options: &openapi3filter.Options{AuthenticationFunc: openapi3filter.NoopAuthenticationFunc, IncludeResponseStatus: true},
	}
	if status < 400 {
		require.NoError(a.t, openapi3filter.ValidateRequest(a.t.Context(), input), path)
		a.answers[route.Operation.OperationID] = true
	}
	response := &openapi3filter.ResponseValidationInput{RequestValidationInput: input, Status: status, Header: got.Header, Options: input.Options}
	response.SetBodyBytes([]byte(got.body))
	require.NoError(a.t, openapi3filter.ValidateResponse(a.t.Context(), response), "%s %s: %s", method, path, got.body)
	var value map[string]any
	if strings.Contains(got.Header.Get("Content-Type"), "json") {
		require.NoError(a.t, json.Unmarshal([]byte(got.body), &value))
	}
	if status >= 400 {
		require.Equal(a.t, "application/problem+json", got.Header.Get("Content-Type"))
		require.NotEmpty(a.t, value["detail"])
		require.NotEmpty(a.t, value["hint"], "the way out")
	}
	return value
}

func TestAPIAnswersAsDescribed(t *testing.T) {
	t.Parallel()
	s, db := one(t, withToken)
	seed(t, db)
	a := newAPI(t, s)
	const root = "/api/v1/databases/auth"
	for _, path := range []string{
		"/api/v1/openapi.yaml", "/api/v1/works", "/api/v1/plugins", "/api/v1/databases", root, root + "/replicas", root + "/runs", root + "/runs?limit=1",
		root + "/runs/1", root + "/audit", root + "/audit?limit=3", root + "/migrations", root + "/migrations?status=failed,paused&limit=1",
		root + "/migrations/users_email_norm/jobs?which=all", root + "/migrations/carts_old/jobs", root + "/migrations/carts_old/jobs?which=failed",
		root + "/migrations/invoices_orphans/quarantine", root + "/migrations/invoices_orphans/batches", root + "/migrations/carts_old/audit",
		root + "/migrations/" + url.PathEscape(oddName) + "/batches",
	} {
		a.call(http.StatusOK, http.MethodGet, path, nil)
	}
	for _, name := range []string{"users_email_norm", "orders_id_bigint", "events_total", "invoices_orphans", "carts_old", url.PathEscape(oddName)} {
		a.call(http.StatusOK, http.MethodGet, root+"/migrations/"+name, nil)
	}
	a.change(root)
	s.Changed("auth")
	a.answers["getEvents"] = true // TestEventsOfTheAPI
	for path, item := range a.doc.Paths.Map() {
		for method, operation := range item.Operations() {
			require.True(t, a.answers[operation.OperationID], "%s %s was never answered", method, path)
		}
	}
}

// change does everything that the API can do.
func (a *api) change(root string) {
	t := a.t
	made := a.call(http.StatusCreated, http.MethodPost, root+"/migrations", map[string]any{
		"job_signature_name": "backfill_column", "table_name": "users", "arguments": map[string]any{"column": "c"}, "name": "made", "paused": true,
		"batch_size": 77, "target_duration_ms": 25, "pause_ms": 1.5, "depends_on": []string{"carts_old"}, "max_quarantined": 3,
	}, actor("nightly"))
	require.Equal(t, "made", made["name"])
	detail := a.call(http.StatusOK, http.MethodGet, root+"/migrations/made", nil)
	require.Equal(t, "paused", detail["status"])
	settings, ok := detail["settings"].(map[string]any)
	require.True(t, ok)
	require.InDelta(t, 77, settings["batch_size"], 0)
	require.InDelta(t, 25, settings["target_duration_ms"], 0.001)
	require.InDelta(t, 1.5, settings["pause_ms"], 0.001)

	now := a.call(http.StatusOK, http.MethodPatch, root+"/migrations/made", map[string]any{"parallelism": 4, "target_duration_ms": nil, "throttle": map[string]any{"duty": 0.2}}, actor("nightly"))
	require.InDelta(t, 4, now["parallelism"], 0)
	require.Nil(t, now["target_duration_ms"])
	require.InDelta(t, 77, now["batch_size"], 0, "what is not named stays")

	act := func(action string, body any) map[string]any {
		return a.call(http.StatusOK, http.MethodPost, root+"/migrations/made/actions/"+action, body, actor("nightly"))
	}
	require.Equal(t, "active", act("resume", nil)["after"])
	require.Equal(t, "active", act("finalize", nil)["after"])
	require.Equal(t, "paused", act("pause", map[string]any{"reason": "lunch"})["after"])
	act("retry-quarantined", nil)
	require.Equal(t, "cancelled", act("cancel", nil)["after"])
	require.Equal(t, "active", a.call(http.StatusOK, http.MethodPost, root+"/migrations/carts_old/actions/retry", nil)["after"])

	var told []string
	entries, ok := a.call(http.StatusOK, http.MethodGet, root+"/migrations/made/audit", nil)["items"].([]any)
	require.True(t, ok)
	for _, entry := range entries {
		e, ok := entry.(map[string]any)
		require.True(t, ok)
		require.Equal(t, "bbmd dashboard: nightly@127.0.0.1", e["application"])
		told = append(told, strings.TrimSpace(strings.Join([]string{e["what"].(string), text(e["from"]), text(e["to"]), text(e["reason"])}, " "))) //nolint:forcetypeassert,errcheck // it is described
	}
	slices.Reverse(told)
	require.Equal(t, []string{
		"status  paused", "throttle  {\"duty\": 0.2}", "target_duration 00:00:00.025", "parallelism 1 4",
		"status paused active", "finalize", "status active paused lunch", "retry-quarantined", "status paused cancelled cancelled by nightly",
	}, reorder(told))
}

// reorder sorts what was changed at once as the database has it: backwards.
func reorder(told []string) []string {
	slices.SortFunc(told[1:4], func(a, b string) int { return strings.Compare(b, a) })
	return told
}

func text(value any) string {
	s, _ := value.(string)
	return s
}

func actor(name string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set("Bbmd-Actor", name) }
}

// What is refused is refused as described, with the way out.
func TestAPIRefusals(t *testing.T) {
	t.Parallel()
	s, db := one(t, withToken)
	seed(t, db)
	a := newAPI(t, s)
	const root = "/api/v1/databases/auth"
	work := map[string]any{"job_signature_name": "plain", "table_name": "users", "name": "x"}
	with := func(key string, value any) map[string]any {
		changed := map[string]any{key: value}
		for k, v := range work {
			if _, ok := changed[k]; !ok {
				changed[k] = v
			}
		}
		return changed
	}
	for _, test := range []struct {
		status       int
		method, path string
		body         any
		want         string
	}{
		{404, "GET", "/api/v1/databases/none", nil, "no such database"},
		{404, "GET", root + "/migrations/none", nil, "no migration named"},
		{404, "GET", root + "/migrations/none/jobs", nil, "no migration named"},
		{404, "GET", root + "/runs/99", nil, "no run"},
		{400, "GET", root + "/migrations?limit=201", nil, "limit"},
		{400, "GET", root + "/migrations?limit=x", nil, "limit"},
		{400, "GET", root + "/migrations?cursor=-1", nil, "cursor"},
		{400, "GET", root + "/migrations?status=nice", nil, "status"},
		{400, "GET", root + "/audit?cursor=1-x", nil, "cursor"},
		{400, "GET", root + "/migrations/carts_old/jobs?which=some", nil, "which"},
		{400, "POST", root + "/migrations", with("job_signature_name", "none"), "there is no work none here"},
		{400, "POST", root + "/migrations", with("job_signature_name", "backfill_column"), "is missing"},
		{400, "POST", root + "/migrations", with("colour", "red"), "unknown field"},
		{400, "POST", root + "/migrations", url.Values{"a": {"b"}}, "application/x-www-form-urlencoded"},
		{422, "POST", root + "/migrations", with("table_name", "none"), "does not exist"},
		{422, "POST", root + "/migrations", with("batch_size", 0), "batch size has to be"},
		{409, "POST", root + "/migrations", with("name", "carts_old"), "already"},
		{422, "PATCH", root + "/migrations/carts_old", map[string]any{"parallelism": 65}, "parallelism has to be between 1 and 64"},
		{422, "PATCH", root + "/migrations/carts_old", map[string]any{"parallelism": nil}, "no default"},
		{422, "PATCH", root + "/migrations/carts_old", map[string]any{"parallelism": "many"}, "has to be a"},
		{422, "PATCH", root + "/migrations/carts_old", map[string]any{"status": "running"}, "status"},
		{400, "PATCH", root + "/migrations/carts_old", map[string]any{"throttle": map[string]any{"dutty": 1}}, "no key dutty"},
		{404, "PATCH", root + "/migrations/none", map[string]any{"parallelism": 2}, "no migration named"},
		{409, "POST", root + "/migrations/carts_old/actions/resume", nil, "has failed"},
		{409, "POST", root + "/migrations/events_total/actions/pause", nil, "finished"},
		{409, "POST", root + "/migrations/orders_id_bigint/actions/finalize", nil, "is paused"},
		{404, "POST", root + "/migrations/none/actions/finalize", nil, "no migration named"},
		{404, "POST", root + "/migrations/none/actions/cancel", nil, "no migration named"},
	} {
		problem := a.call(test.status, test.method, test.path, test.body)
		require.Contains(t, problem["detail"], test.want, "%s %s", test.method, test.path)
		require.NotRegexp(t, `SELECT bbm`, problem["hint"])
	}
	require.Contains(t, a.call(http.StatusConflict, http.MethodPost, root+"/migrations/carts_old/actions/resume", nil)["hint"], "the action retry")
	require.Equal(t, http.StatusBadRequest, s.do(http.MethodPost, root+"/migrations/carts_old/actions/explode", nil, bearer).StatusCode)
	require.Equal(t, http.StatusNotFound, s.do(http.MethodGet, "/api/v1/nothing", nil, bearer).StatusCode)
}

// Pages of a list have all of it once, whatever the length of a page.
func TestPagesOfListsAreWhole(t *testing.T) {
	t.Parallel()
	s, db := one(t)
	seed(t, db)
	const root = "/api/v1/databases/auth"
	for list, want := range map[string]int{
		root + "/migrations?limit=4": 6, root + "/runs?limit=1": 2, root + "/migrations/users_email_norm/jobs?which=all&limit=200": 800,
		root + "/migrations/invoices_orphans/quarantine?limit=1": 2, root + "/migrations/carts_old/jobs?which=open&limit=1": 1,
		root + "/audit?limit=5": pgtest.One[int](t, db, "SELECT (SELECT count(*) FROM bbm.transitions) + (SELECT count(*) FROM bbm.changes)"),
	} {
		seen := map[string]bool{}
		cursor := ""
		for {
			var got struct {
				Items []json.RawMessage
				Next  *string
			}
			require.NoError(t, json.Unmarshal([]byte(s.get(list+cursor)), &got))
			for _, item := range got.Items {
				key := regexp.MustCompile(`"(seconds_since|keys_per_second|seconds_elapsed|seconds_left|seconds_until_next_attempt)":[^,}]*`).ReplaceAllString(string(item), "")
				require.False(t, seen[key], "%s: twice: %s", list, key)
				seen[key] = true
			}
			if got.Next == nil {
				break
			}
			cursor = "&cursor=" + *got.Next
		}
		require.Len(t, seen, want, list)
	}
}

// The stream of a database says how its migrations are at once, and again after every change.
func TestEventsOfTheAPI(t *testing.T) {
	t.Parallel()
	s, db := one(t)
	seed(t, db)
	response, err := http.DefaultClient.Do(s.request(http.MethodGet, "/api/v1/databases/auth/events", nil))
	require.NoError(t, err)
	defer func() { _ = response.Body.Close() }()
	require.Equal(t, "text/event-stream", response.Header.Get("Content-Type"))
	lines := bufio.NewScanner(response.Body)
	lines.Buffer(nil, 1<<20)
	schema := description(t).Components.Schemas["Change"].Value
	next := func() map[string]any {
		for lines.Scan() {
			if data, ok := bytes.CutPrefix(lines.Bytes(), []byte("data: ")); ok {
				var value map[string]any
				require.NoError(t, json.Unmarshal(data, &value))
				require.NoError(t, schema.VisitJSON(value))
				return value
			}
		}
		require.FailNow(t, "the stream has ended", lines.Err())
		return nil
	}
	require.Len(t, next()["migrations"], 6)
	db.Exec(t, "SELECT bbm.enqueue('plain', 'users', name => 'one_more')")
	s.Changed("auth")
	require.Len(t, next()["migrations"], 7)
	s.stop()
	for lines.Scan() { // until it ends, with the server
		require.NotContains(t, lines.Text(), "data:")
	}
}
