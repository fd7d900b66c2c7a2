package dashboard_test

import (
	"net/http"
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"
)

const oddName = `users_<b>odd</b> & "name"/x`

// Everything that is shown comes from elsewhere: nothing of it becomes markup.
func TestPagesShowAndEscape(t *testing.T) {
	t.Parallel()
	s, db := one(t, withToken)
	seed(t, db)
	odd := "/databases/auth/migrations/" + url.PathEscape(oddName)
	for path, wants := range map[string][]string{
		"/":               {"users_email_norm", "36.9\u202f%", "9\u202f600/s", "ready", "schema: migrate finished, at 00042", "users_&lt;b&gt;odd"},
		"/databases/auth": {"carts_old", "VERSIONED", "up to date", "quarter end: Ines", "canceling statement due to lock timeout", "Enqueue a migration", "waits for users_email_norm"},
		"/databases/auth/migrations/users_email_norm": {
			"18\u202f432\u202f000", "of ~50\u202f000\u202f000", "24\u202f315", "works 62 % of the time", "<polyline", "target", "/actions/pause", "/actions/finalize", "email_norm",
			"throttle: default → <code>{&#34;duty&#34;: 0.5}</code>", `name="parallelism" value="3"`,
		},
		"/databases/auth/migrations/carts_old":                         {"SQLSTATE 22P02", "&lt;script&gt;alert(1)&lt;/script&gt;", "/actions/retry", "Cancel for good"},
		"/databases/auth/migrations/invoices_orphans":                  {"Quarantine", "value too long", "Retry quarantined rows"},
		"/databases/auth/migrations/orders_id_bigint":                  {"/actions/resume", "quarter end"},
		"/databases/auth/migrations/carts_old/jobs":                    {"after 18432000 to 18432500", "&lt;script&gt;"},
		"/databases/auth/migrations/carts_old/jobs?which=all&limit=10": {"cursor=792", "which=all"},
		"/databases/auth/migrations/invoices_orphans/quarantine":       {"22001"},
		"/databases/auth/migrations":                                   {"events_total", "carts_old"},
		"/databases/auth/audit":                                        {"carts_old", "running → ", "parallelism: <code>1</code> → <code>3</code>"},
		"/databases/auth/runs":                                         {"55P03", "/databases/auth/runs/1"},
		"/databases/auth/runs/1":                                       {"00042_add_index.sql, line 3", "lock timeout", "running 00042"},
		"/works":                                                       {"backfill_column", "enqueue?work=plain", "plain.sql", "abababababab"},
		"/databases/auth/enqueue":                                      {"?work=backfill_column"},
		"/databases/auth/enqueue?work=backfill_column":                 {`name="arg.expression"`, `name="arg.force"`, `name="table_name"`},
		"/databases/auth/enqueue?work=nope":                            {"There is no work nope here"},
		odd:                                                            {"users_&lt;b&gt;odd&lt;/b&gt; &amp; &#34;name&#34;/x", "/migrations/users_%3Cb%3Eodd%3C%2Fb%3E%20&amp;%20%22name%22%2Fx/actions/pause"},
	} {
		body := s.get(path, s.login())
		for _, want := range wants {
			require.Contains(t, body, want, path)
		}
		require.NotContains(t, body, "<script>alert", path)
		require.NotContains(t, body, "<b>odd", path)
		require.NotContains(t, body, "ZgotmplZ", path)
	}
	a := s.do(http.MethodPost, odd+"/actions/pause", url.Values{}, s.login())
	require.Equal(t, http.StatusSeeOther, a.StatusCode, a.body)
	require.Contains(t, s.get(a.Header.Get("Location"), s.login()), "paused by ines")
}

// Without a token everybody may read, and there is nothing to act with.
func TestReadingWithoutAToken(t *testing.T) {
	t.Parallel()
	s, db := one(t)
	seed(t, db)
	for _, path := range []string{"/", "/databases/auth", "/databases/auth/migrations/users_email_norm", "/works"} {
		body := s.get(path)
		require.NotContains(t, body, "/actions/", path)
		require.NotContains(t, body, "/enqueue", path)
		require.NotContains(t, body, "/login", path)
		require.NotContains(t, body, "<textarea", path)
	}
	require.Equal(t, http.StatusForbidden, s.do(http.MethodPost, "/databases/auth/migrations/users_email_norm/actions/pause", url.Values{}).StatusCode)
}
