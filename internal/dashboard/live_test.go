package dashboard_test

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/internal/control"
	"github.com/bbmd-dev/bbmd/internal/dashboard"
	"github.com/bbmd-dev/bbmd/testing/pgtest"
)

// Whoever watches the same is told by the same look, at most once an interval, and always of the last change.
func TestHubLooksOnceForAll(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		hub := dashboard.NewHub()
		looks := 0 // by one goroutine, between waits
		render := func(context.Context) []byte { looks++; return fmt.Appendf(nil, "look %d", looks) }
		one, leaveOne, err := hub.Subscribe("page", "auth", render)
		require.NoError(t, err)
		synctest.Wait()
		require.Equal(t, "look 1", string(<-one), "at once")
		other, leaveOther, err := hub.Subscribe("page", "auth", render)
		require.NoError(t, err)
		require.Equal(t, "look 1", string(<-other), "what is known is told without a look")

		began := time.Now()
		for range 1000 {
			hub.Changed("auth")
		}
		require.Equal(t, "look 2", string(<-one))
		require.Equal(t, dashboard.LookInterval, time.Since(began))
		hub.Changed("billing")
		time.Sleep(time.Hour) //nolint:forbidigo // the time of the bubble
		synctest.Wait()
		require.Equal(t, 2, looks, "nothing happens, nobody looks")

		hub.Changed("auth")
		synctest.Wait()
		time.Sleep(time.Hour) //nolint:forbidigo // the time of the bubble
		hub.Changed("auth")
		synctest.Wait()
		require.Equal(t, 4, looks)
		require.Equal(t, "look 4", string(<-other), "one that is slow gets the latest")
		require.Empty(t, other)

		leaveOne()
		require.Equal(t, 1, hub.Topics())
		leaveOther()
		require.Zero(t, hub.Topics())
		hub.Changed("auth")
		synctest.Wait()
		require.Equal(t, 4, looks, "nobody watches, nobody looks")
		hub.Close()
		_, _, err = hub.Subscribe("page", "auth", render)
		require.Error(t, err)
	})
}

func TestHubIsBounded(t *testing.T) {
	t.Parallel()
	hub := dashboard.NewHub()
	defer hub.Close()
	nothing := func(context.Context) []byte { return nil }
	leaves := make([]func(), 0, dashboard.MostWatchers)
	for i := range dashboard.MostWatchers {
		_, leave, err := hub.Subscribe(fmt.Sprint("page ", i%7), "", nothing)
		require.NoError(t, err)
		leaves = append(leaves, leave)
	}
	require.Equal(t, 7, hub.Topics())
	_, _, err := hub.Subscribe("page 0", "", nothing)
	require.ErrorContains(t, err, "too many")
	leaves[0]()
	_, leave, err := hub.Subscribe("page 0", "", nothing)
	require.NoError(t, err)
	for _, leave := range append(leaves[1:], leave) {
		leave()
	}
	require.Zero(t, hub.Topics())
}

// counted counts the statements that are sent.
type counted struct {
	control.TxDB

	statements *atomic.Int64
}

func (c counted) Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error) {
	c.statements.Add(1)
	return c.TxDB.Query(ctx, sql, args...)
}

func (c counted) QueryRow(ctx context.Context, sql string, args ...any) pgx.Row {
	c.statements.Add(1)
	return c.TxDB.QueryRow(ctx, sql, args...)
}

// watch opens the stream of a page, and returns what waits for its next event.
func (s *site) watch(page string) (next func() string, end func()) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	response, err := http.DefaultClient.Do(s.request(http.MethodGet, "/events?page="+url.QueryEscape(page), nil).WithContext(ctx)) //nolint:bodyclose // end closes it
	require.NoError(s.t, err)
	require.Equal(s.t, http.StatusOK, response.StatusCode)
	lines := bufio.NewScanner(response.Body)
	lines.Buffer(nil, 1<<20)
	next = func() string {
		s.t.Helper()
		var text strings.Builder
		for lines.Scan() {
			if data, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
				text.WriteString(data + "\n")
			} else if lines.Text() == "" && text.Len() > 0 {
				return text.String()
			}
		}
		require.FailNow(s.t, "the stream has ended", lines.Err())
		return ""
	}
	return next, func() { cancel(); _ = response.Body.Close() }
}

// Nothing is asked of a database while nothing happens, or nobody looks, and many who look cost what one does.
func TestStatementsAreOnlyForThoseWhoLook(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	seed(t, db)
	var statements atomic.Int64
	shown := database(t, "auth", db)
	pool := shown.DB()
	shown.DB = func() control.TxDB { return counted{pool, &statements} }
	s := start(t, []dashboard.Database{shown, {Name: "billing"}})
	for range 50 {
		s.Changed("auth")
		s.Progressed("auth")
	}
	require.Zero(t, statements.Load(), "nobody looks")

	const page = "/databases/auth/migrations/users_email_norm"
	first, end := s.watch(page)
	defer end()
	require.Contains(t, first(), "36.9")
	cost := statements.Load()
	require.Positive(t, cost)
	var others []func() string
	for range 20 {
		next, end := s.watch(page)
		defer end()
		require.Contains(t, next(), "36.9")
		others = append(others, next)
	}
	s.Changed("billing")
	require.Equal(t, cost, statements.Load(), "all see what one look has found")

	db.Exec(t, "UPDATE bbm.counters SET percent = 55.5")
	s.Progressed("auth")
	require.Contains(t, first(), "55.5")
	for _, next := range others {
		require.Contains(t, next(), "55.5")
	}
	require.LessOrEqual(t, statements.Load(), 2*cost)
}

func TestEventsOfPages(t *testing.T) {
	t.Parallel()
	s, db := one(t, withToken)
	seed(t, db)
	for page, want := range map[string]int{
		"https://example.com/": 400, "//example.com/": 400, "works": 400, "/works": 400, "/login": 400, "/databases/auth/enqueue": 400, "/api/v1/databases": 400, "": 400,
	} {
		require.Equal(t, want, s.do(http.MethodGet, "/events?page="+url.QueryEscape(page), nil, bearer).StatusCode, page)
	}
	require.Equal(t, http.StatusUnauthorized, s.do(http.MethodGet, "/events?page=/", nil).StatusCode)
}

// A stream goes on for longer than a request may take to arrive, and a look that panics ends nothing.
func TestStreamsLast(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	shown := database(t, "auth", db)
	var broken atomic.Bool
	checks := shown.Checks
	shown.Checks = func(ctx context.Context) []dashboard.Check {
		if broken.Load() {
			panic("a test")
		}
		return checks(ctx)
	}
	s := start(t, []dashboard.Database{shown})
	next, end := s.watch("/databases/auth")
	defer end()
	require.Contains(t, next(), "ready")
	broken.Store(true)
	s.Changed("auth")
	<-time.After(longestRequest + time.Second)
	broken.Store(false)
	db.Exec(t, "CREATE TABLE t (id bigint PRIMARY KEY); SELECT bbm.enqueue('plain', 't', name => 'later')")
	s.Changed("auth")
	for !strings.Contains(next(), "later") { // the look that has panicked has found nothing
	}
}

// One that does not read is dropped, and the server ends although it is there.
func TestAWatcherThatDoesNotRead(t *testing.T) {
	t.Parallel()
	s, db := one(t)
	seed(t, db)
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", s.Addr().String())
	require.NoError(t, err)
	defer func() { _ = conn.Close() }()
	_, err = fmt.Fprintf(conn, "GET /events?page=/ HTTP/1.1\r\nHost: localhost\r\n\r\n")
	require.NoError(t, err)
	next, end := s.watch("/")
	defer end()
	require.Contains(t, next(), "users_email_norm")
	s.stop() // waits for both
}
