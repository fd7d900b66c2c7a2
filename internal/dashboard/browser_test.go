package dashboard_test

import (
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/internal/dashboard"
	"github.com/bbmd-dev/bbmd/testing/pgtest"
)

// chromium returns a browser, where `make browser-test` asks for it: a browser is heavy, and
// slow where everything else runs beside it. That there is none is a failure then.
func chromium(t *testing.T) *browser {
	t.Helper()
	if os.Getenv("BBMD_BROWSER_TESTS") == "" {
		t.Skip("SKIPPED: the dashboard in a browser is what `make browser-test` is for")
	}
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return open(t, path)
		}
	}
	t.Fatal("no Chromium is installed: on Debian, apt-get install chromium")
	return nil
}

// shop is a browser with somebody logged in at a dashboard of two databases.
func shop(t *testing.T) (*browser, *site, *pgtest.Database) {
	t.Helper()
	b := chromium(t)
	db, other := pgtest.New(t), pgtest.New(t)
	seed(t, db)
	other.Exec(t, "CREATE TABLE t (id bigint PRIMARY KEY); SELECT bbm.enqueue('plain', 't', name => 't_plain', paused => true)")
	s := start(t, []dashboard.Database{database(t, "auth", db), database(t, "billing", other)}, withToken)
	b.visit(s.base + "/databases/auth")
	require.Equal(t, "/login", eval[string](b, "location.pathname"))
	b.focuses("token")
	b.types(token)
	b.press("Tab", 9, "")
	b.types("ines")
	b.loads(func() { b.press("Enter", 13, "\r") })
	require.Equal(t, "/databases/auth", eval[string](b, "location.pathname"))
	return b, s, db
}

// well says that nothing went wrong in the browser, and that nothing came from elsewhere.
func (b *browser) well(s *site) {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, wrong := range b.wrong {
		harmless := strings.Contains(wrong, `"level":"verbose"`) || strings.Contains(wrong, "the server responded with a status of 4")
		require.True(b.t, harmless, wrong)
	}
	for _, seen := range b.seen {
		require.True(b.t, strings.HasPrefix(seen, s.base) || seen == "about:blank" || strings.HasPrefix(seen, "data:"), seen)
	}
}

// What happens in the database is seen on the page that is open, and what one is about to do there stays.
func TestBrowserIsKeptUpToDate(t *testing.T) {
	t.Parallel()
	b, s, db := shop(t)
	b.visit(s.base + "/databases/auth/migrations/users_email_norm")
	b.until(`document.querySelector("#live").dataset.state === "on"`)
	eval[any](b, `document.querySelector("input[name=pause_ms]").focus(), document.querySelector("input[name=pause_ms]").select()`)
	b.types("250")
	eval[any](b, `document.querySelector("details.menu").open = true, document.querySelector("progress").dataset.mine = "the same element"`)

	db.Exec(t, "UPDATE bbm.counters SET percent = 64.2")
	s.Progressed("auth")
	b.until(`document.querySelector(".big").textContent.includes("64.2")`)
	require.InDelta(t, 64.2, eval[float64](b, `document.querySelector("progress").value`), 0.01)
	require.Equal(t, "pause_ms", eval[string](b, "document.activeElement.name"), "the focus stays")
	require.Equal(t, "250", eval[string](b, "document.activeElement.value"), "what was typed stays")
	require.True(t, eval[bool](b, `document.querySelector("details.menu").open`), "what was opened stays")

	b.loads(func() { b.press("Enter", 13, "\r") })
	b.until(`document.querySelector("[role=status].done").textContent.includes("settings are changed")`)
	require.Equal(t, "00:00:00.25", pgtest.One[string](t, db, "SELECT pause::text FROM bbm.batched_background_migrations WHERE name = 'users_email_norm'"))
	require.Regexp(t, `^bbmd dashboard: ines@127\.0\.0\.1$`, pgtest.One[string](t, db, "SELECT application FROM bbm.changes WHERE what = 'pause'"))

	b.loads(func() {
		eval[any](b, `document.querySelector("form[action$=pause] button").focus()`)
		b.press("Enter", 13, "\r")
	})
	b.until(`document.querySelector("h1 + .pill").textContent === "paused"`)
	db.Exec(t, "SELECT bbm.resume('users_email_norm')")
	s.Changed("auth")
	b.until(`document.querySelector("h1 + .pill").textContent === "active" && document.querySelector("form[action$=pause]")`)

	b.visit(s.base + "/")
	b.until(`document.querySelector("#live").dataset.state === "on"`)
	db.Exec(t, "UPDATE bbm.counters SET percent = 71.9")
	s.Progressed("auth")
	b.until(`document.querySelector("main").innerText.includes("71.9")`)
	b.well(s)
}

// A form made from the Work's arguments, without any script.
func TestBrowserWithoutScript(t *testing.T) {
	t.Parallel()
	b, s, db := shop(t)
	b.call("Emulation.setScriptExecutionDisabled", map[string]any{"value": true}, nil)
	b.visit(s.base + "/databases/auth/enqueue?work=backfill_column")
	b.focuses("table_name")
	for _, text := range []string{"nowhere", "email_norm", "lower(email)"} {
		b.types(text)
		b.press("Tab", 9, "")
	}
	b.loads(func() {
		for range 2 { // over the fields of numbers and tags
			b.press("Tab", 9, "")
		}
		b.press("Tab", 9, "")
		b.types("from the browser")
		b.press("Enter", 13, "\r")
	})
	require.Contains(t, eval[string](b, "document.body.innerText"), `table "nowhere" does not exist`)
	require.Equal(t, "lower(email)", eval[string](b, `document.querySelector("[name='arg.expression']").value`), "what was typed is there again")
	b.focuses("table_name")
	eval[any](b, `document.querySelector("[name=table_name]").select()`)
	b.types("public.users")
	b.loads(func() { b.press("Enter", 13, "\r") })
	require.Contains(t, eval[string](b, "document.body.innerText"), "Enqueued.")
	require.JSONEq(t, `{"column": "email_norm", "expression": "lower(email)"}`,
		pgtest.One[string](t, db, "SELECT arguments::text FROM bbm.batched_background_migrations WHERE name = 'from the browser'"))
	b.well(s)
}

// Every page fits on a phone, and on a screen, in the dark and in the light. With
// BBMD_SCREENSHOTS set, pictures of them go to that directory.
func TestBrowserPagesFit(t *testing.T) {
	t.Parallel()
	b, s, _ := shop(t)
	pages := map[string]string{
		"overview": "/", "database": "/databases/auth", "running": "/databases/auth/migrations/users_email_norm",
		"failed": "/databases/auth/migrations/carts_old", "orphans": "/databases/auth/migrations/invoices_orphans",
		"odd": "/databases/auth/migrations/" + url.PathEscape(oddName), "jobs": "/databases/auth/migrations/carts_old/jobs?which=all&limit=20",
		"audit": "/databases/auth/audit", "run": "/databases/auth/runs/1", "works": "/works", "enqueue": "/databases/auth/enqueue?work=backfill_column",
		"choose": "/databases/auth/enqueue", "login": "/login", "problem": "/databases/none",
	}
	screens := []struct {
		name          string
		width, height int
		scheme        string
	}{{"light", 1280, 800, "light"}, {"dark", 1280, 800, "dark"}, {"phone", 375, 750, "light"}}
	directory := os.Getenv("BBMD_SCREENSHOTS")
	if directory == "" {
		screens = screens[2:] // where it is narrow
	}
	for _, screen := range screens {
		b.look(screen.width, screen.height, screen.scheme)
		for name, page := range pages {
			b.visit(s.base + page)
			require.LessOrEqual(t, eval[int](b, "document.documentElement.scrollWidth"), screen.width, "%s on %s", name, screen.name)
			if directory != "" {
				b.until(`!document.querySelector("#live") || document.querySelector("#live").dataset.state === "on"`)
				require.NoError(t, os.WriteFile(filepath.Join(directory, name+"-"+screen.name+".png"), b.screenshot(name != "running"), 0o600))
			}
		}
	}
	b.well(s)
}
