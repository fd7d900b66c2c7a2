package dashboard_test

import (
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/internal/dashboard"
)

// bare is a dashboard of a database that is away: for what is decided before it is asked.
func bare(t *testing.T, setups ...setup) *site {
	t.Helper()
	return start(t, []dashboard.Database{{Name: "auth"}}, setups...)
}

const (
	pausePage = "/databases/auth/migrations/m/actions/pause"
	pauseAPI  = "/api/v1/databases/auth/migrations/m/actions/pause"
)

// away is what comes of a request that was admitted: there is no database.
const away = http.StatusServiceUnavailable

func TestWhoMayReadAndAct(t *testing.T) {
	t.Parallel()
	public := func(o *dashboard.Options) { withToken(o); o.PublicRead = true }
	wrong := func(r *http.Request) { r.Header.Set("Authorization", "Bearer not the token") }
	for name, test := range map[string]struct {
		setup     setup
		edit      func(*http.Request)
		read, act int // of the API
		page      int // of a page
	}{
		"no token, nobody":   {func(*dashboard.Options) {}, nil, 200, 403, 200},
		"no token, with one": {func(*dashboard.Options) {}, bearer, 200, 403, 200},
		"token, nobody":      {withToken, nil, 401, 401, 303},
		"token, wrong one":   {withToken, wrong, 401, 401, 303},
		"token, right one":   {withToken, bearer, 200, away, 200},
		"public, nobody":     {public, nil, 200, 401, 200},
		"public, wrong one":  {public, wrong, 401, 401, 303},
		"public, right one":  {public, bearer, 200, away, 200},
		"token, forged cookie": {withToken, func(r *http.Request) {
			r.AddCookie(&http.Cookie{Name: "bbmd_session", Value: "9999999999.aW5lcw.AAAA"})
		}, 401, 401, 303},
		"public, stale cookie": {public, func(r *http.Request) { r.AddCookie(&http.Cookie{Name: "bbmd_session", Value: "1.aW5lcw.AAAA"}) }, 200, 401, 200},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := bare(t, test.setup)
			edits := []func(*http.Request){}
			if test.edit != nil {
				edits = append(edits, test.edit)
			}
			require.Equal(t, test.read, s.do(http.MethodGet, "/api/v1/databases", nil, edits...).StatusCode)
			require.Equal(t, test.act, s.do(http.MethodPost, pauseAPI, nil, edits...).StatusCode)
			require.Equal(t, test.act, s.do(http.MethodPatch, "/api/v1/databases/auth/migrations/m", map[string]any{}, edits...).StatusCode)
			page := s.do(http.MethodGet, "/databases/auth?x=1", nil, edits...)
			require.Equal(t, test.page, page.StatusCode)
			if test.page == http.StatusSeeOther {
				require.Equal(t, "/login?next=%2Fdatabases%2Fauth%3Fx%3D1", page.Header.Get("Location"))
			}
			require.Equal(t, http.StatusOK, s.do(http.MethodGet, "/api/v1/openapi.yaml", nil, edits...).StatusCode)
		})
	}
}

func TestLogin(t *testing.T) {
	t.Parallel()
	var current atomic.Pointer[string]
	now, later := token, "another token, from now on"
	current.Store(&now)
	s := bare(t, func(o *dashboard.Options) { o.Token = func() (string, error) { return *current.Load(), nil } })
	require.Contains(t, s.get("/login?next=/works"), `name="next" value="/works"`)
	for _, elsewhere := range []string{"https://example.com", "//example.com", `/\example.com`, "javascript:alert(1)"} {
		require.Contains(t, s.get("/login?next="+url.QueryEscape(elsewhere)), `name="next" value="/"`, elsewhere)
		a := s.do(http.MethodPost, "/login", url.Values{"token": {token}, "next": {elsewhere}})
		require.Equal(t, "/", a.Header.Get("Location"))
	}
	a := s.do(http.MethodPost, "/login", url.Values{"token": {"not the token"}})
	require.Equal(t, http.StatusUnauthorized, a.StatusCode)
	require.Empty(t, a.Cookies())

	a = s.do(http.MethodPost, "/login", url.Values{"token": {token}, "name": {"Ines <i>/' DROP"}, "next": {"/works"}})
	require.Equal(t, http.StatusSeeOther, a.StatusCode)
	require.Equal(t, "/works", a.Header.Get("Location"))
	cookie := a.Cookies()[0]
	require.True(t, cookie.HttpOnly)
	require.Equal(t, http.SameSiteStrictMode, cookie.SameSite)
	require.Equal(t, 12*60*60, cookie.MaxAge)
	require.False(t, cookie.Secure, "it was asked for in the clear")
	require.NotContains(t, cookie.Value, token)
	secure := s.do(http.MethodPost, "/login", url.Values{"token": {token}}, func(r *http.Request) { r.Header.Set("X-Forwarded-Proto", "https") })
	require.True(t, secure.Cookies()[0].Secure)

	in := func(r *http.Request) { r.AddCookie(cookie) }
	require.Contains(t, s.get("/works", in), `<span class="dim">InesiDROP</span>`)
	out := s.do(http.MethodPost, "/logout", url.Values{}, in, func(r *http.Request) { r.Header.Set("Origin", s.base) })
	require.Equal(t, -1, out.Cookies()[0].MaxAge)

	current.Store(&later)
	require.Equal(t, http.StatusSeeOther, s.do(http.MethodGet, "/works", nil, in).StatusCode, "sessions end with the token")
	require.Equal(t, http.StatusUnauthorized, s.do(http.MethodGet, "/api/v1/works", nil, bearer).StatusCode)
}

func TestSessionsEnd(t *testing.T) {
	t.Parallel()
	now := time.Now()
	sealed := dashboard.Seal(token, "ines", now.Add(time.Hour))
	name, ok := dashboard.OpenSession(token, sealed, now)
	require.True(t, ok)
	require.Equal(t, "ines", name)
	for why, wrong := range map[string]string{
		"cut": sealed[:len(sealed)-1], "another end": "9" + sealed, "nothing": "", "dots": "...", "another name": strings.Replace(sealed, ".", ".AA", 1),
	} {
		_, ok := dashboard.OpenSession(token, wrong, now)
		require.False(t, ok, why)
	}
	_, ok = dashboard.OpenSession(token, sealed, now.Add(time.Hour))
	require.False(t, ok, "over")
	_, ok = dashboard.OpenSession("", dashboard.Seal("", "ines", now.Add(time.Hour)), now)
	require.False(t, ok, "no token")
}

// What another page makes a browser send is refused, whatever it brings along.
func TestRequestsOfOtherPages(t *testing.T) {
	t.Parallel()
	s := bare(t, withToken)
	own := s.login()
	send := func(path string, headers map[string]string) int {
		return s.do(http.MethodPost, path, url.Values{}, own, func(r *http.Request) {
			r.Header.Del("Origin")
			r.Header.Del("Sec-Fetch-Site")
			for name, value := range headers {
				r.Header.Set(name, value)
			}
		}).StatusCode
	}
	for _, path := range []string{pausePage, "/databases/auth/migrations/m/settings", "/databases/auth/enqueue", "/logout"} {
		for _, headers := range []map[string]string{
			{"Sec-Fetch-Site": "cross-site", "Origin": "https://example.com"},
			{"Sec-Fetch-Site": "same-site", "Origin": "http://127.0.0.1:3000"}, // another port: cookies do not tell it apart
			{"Origin": "https://example.com"},
			{"Origin": "null"},
			{}, // every browser says where a page's request comes from
		} {
			require.Equal(t, http.StatusForbidden, send(path, headers), "%s %v", path, headers)
		}
	}
	require.Equal(t, away, send(pausePage, map[string]string{"Sec-Fetch-Site": "same-origin"}))
	require.Equal(t, away, send(pausePage, map[string]string{"Origin": s.base}))
	require.Equal(t, http.StatusForbidden, s.do(http.MethodPost, "/login", url.Values{"token": {token}}, func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") }).StatusCode)
	require.Equal(t, away, s.do(http.MethodPost, pauseAPI, nil, bearer).StatusCode, "a program has no page")
	require.Equal(t, http.StatusNotFound, s.do(http.MethodGet, pausePage, nil, own).StatusCode, "looking changes nothing")
}

func TestHosts(t *testing.T) {
	t.Parallel()
	s := bare(t, func(o *dashboard.Options) { o.Hosts = []string{"bbmd.example"} })
	for host, want := range map[string]int{
		"localhost": 200, "localhost:8081": 200, "LOCALHOST": 200, "127.0.0.1": 200, "127.0.0.1:1": 200, "[::1]:8081": 200, "10.1.2.3:80": 200,
		"bbmd.example": 200, "BBMD.Example.:443": 200, "evil.example": 421, "evil.example:8081": 421, "localhost.evil.example": 421, "127.0.0.1.evil.example": 421,
		"bbmd.example.evil": 421,
	} {
		for _, path := range []string{"/", "/api/v1/databases", "/api/v1/openapi.yaml"} {
			a := s.do(http.MethodGet, path, nil, func(r *http.Request) { r.Host = host })
			require.Equal(t, want, a.StatusCode, "%s %s", host, path)
		}
	}
}

func TestHeaders(t *testing.T) {
	t.Parallel()
	s := bare(t, withToken)
	for _, path := range []string{"/", "/login", "/none", "/api/v1/databases"} {
		h := s.do(http.MethodGet, path, nil).Header
		csp := h.Get("Content-Security-Policy")
		require.Contains(t, csp, "default-src 'none'")
		require.NotContains(t, csp, "unsafe")
		require.Contains(t, csp, "frame-ancestors 'none'")
		require.Equal(t, "nosniff", h.Get("X-Content-Type-Options"))
		require.Equal(t, "no-store", h.Get("Cache-Control"))
	}
	page := s.get("/login")
	require.NotRegexp(t, `\sstyle=|<style|\son\w+=|<script>|https?://`, page)
}

func TestAssetsAreKeptByBrowsers(t *testing.T) {
	t.Parallel()
	s := bare(t)
	page := s.get("/")
	for _, file := range []string{"dashboard.css", "dashboard.js", "icon.svg"} {
		at := strings.Index(page, "/static/")
		require.Positive(t, at)
		_, rest, _ := strings.Cut(page, file)
		path := page[strings.LastIndex(page[:len(page)-len(rest)], "/static/") : len(page)-len(rest)]
		a := s.do(http.MethodGet, path, nil)
		require.Equal(t, http.StatusOK, a.StatusCode, path)
		require.Contains(t, a.Header.Get("Cache-Control"), "immutable")
		require.Equal(t, http.StatusNotFound, s.do(http.MethodGet, "/static/000000000000/"+file, nil).StatusCode)
	}
	require.Equal(t, http.StatusNotFound, s.do(http.MethodGet, "/static/x/layout.html", nil).StatusCode)
}

// A database that is away is told, on every page, with the way out.
func TestDatabaseThatIsAway(t *testing.T) {
	t.Parallel()
	s := bare(t)
	require.Contains(t, s.get("/"), "the database cannot be reached")
	require.Contains(t, s.get("/databases/auth"), "the database cannot be reached")
	a := s.do(http.MethodGet, "/databases/auth/migrations/m", nil)
	require.Equal(t, away, a.StatusCode)
	require.Contains(t, a.body, "bbmd tries to reach it")
	require.Equal(t, "5", a.Header.Get("Retry-After"))
}
