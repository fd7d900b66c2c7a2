package critical_test

import (
	"bytes"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/internal/critical"
)

// patience is how long a test waits for what has to happen.
const patience = 60 * time.Second

// journal is a log that tests read when it is over, or at once.
type journal struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(p)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.String()
}

// posted is one attempt to tell Sentry.
type posted struct {
	body   string
	answer chan int // its status; 0: the connection ends
}

// sentryThat returns a reporter to a Sentry whose answers the test gives.
func sentryThat(t *testing.T, pause time.Duration) (*critical.Reporter, chan posted, *journal) {
	t.Helper()
	attempts := make(chan posted)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		attempt := posted{string(body), make(chan int, 1)}
		status := 0
		select {
		case attempts <- attempt:
			select {
			case status = <-attempt.answer:
			case <-r.Context().Done():
			}
		case <-r.Context().Done():
		}
		if status == 0 {
			panic(http.ErrAbortHandler)
		}
		w.WriteHeader(status)
	}))
	t.Cleanup(server.Close)
	log := new(journal)
	r, err := critical.New(critical.Options{
		DSN: strings.Replace(server.URL, "http://", "http://s3cr3t@", 1) + "/7", Logger: slog.New(slog.NewTextHandler(log, nil)),
	})
	require.NoError(t, err)
	r.Pause(pause)
	return r, attempts, log
}

func receive[T any](t *testing.T, from <-chan T) (value T) {
	t.Helper()
	select {
	case value = <-from:
	case <-time.After(patience):
		require.FailNow(t, "nothing came")
	}
	return value
}

func TestEventsWaitUntilSentryIsThere(t *testing.T) {
	t.Parallel()
	r, attempts, log := sentryThat(t, time.Millisecond)
	r.Report(critical.Event{Kind: critical.SourceDown, Database: "first"})
	r.Report(critical.Event{Kind: critical.SourceDown, Database: "second"})
	var bodies []string
	for _, status := range []int{0, http.StatusBadGateway, http.StatusOK, http.StatusOK} {
		attempt := receive(t, attempts)
		bodies = append(bodies, attempt.body)
		attempt.answer <- status
	}
	r.Close(patience)
	require.Contains(t, bodies[0], `"database":"first"`)
	require.Equal(t, bodies[0], bodies[1])
	require.Equal(t, bodies[0], bodies[2])
	require.Contains(t, bodies[3], `"database":"second"`)
	require.Equal(t, 1, strings.Count(log.String(), "errors wait for Sentry"), log)
	require.Equal(t, 1, strings.Count(log.String(), "errors are reported again"), log)
	require.NotContains(t, log.String(), "error not reported")
	require.NotContains(t, log.String(), "s3cr3t")
}

func TestWhatSentryRefusesIsNotSentAgain(t *testing.T) {
	t.Parallel()
	r, attempts, log := sentryThat(t, time.Millisecond)
	r.Report(critical.Event{Kind: critical.SourceDown, Database: "first"})
	r.Report(critical.Event{Kind: critical.SourceDown, Database: "second"})
	for _, database := range []string{"first", "second"} {
		attempt := receive(t, attempts)
		require.Contains(t, attempt.body, `"database":"`+database+`"`)
		attempt.answer <- http.StatusForbidden
	}
	r.Close(patience)
	require.Empty(t, log.String())
}

func TestTheEndTriesOnceMore(t *testing.T) {
	t.Parallel()
	r, attempts, log := sentryThat(t, time.Hour)
	r.Report(critical.Event{Kind: critical.SourceDown, Database: "first"})
	r.Report(critical.Event{Kind: critical.SourceDown, Database: "second"})
	receive(t, attempts).answer <- http.StatusServiceUnavailable
	closed := make(chan struct{})
	go func() { defer close(closed); r.Close(patience) }()
	for _, c := range []struct {
		database string
		status   int
	}{{"first", http.StatusServiceUnavailable}, {"second", http.StatusOK}} {
		attempt := receive(t, attempts)
		require.Contains(t, attempt.body, `"database":"`+c.database+`"`)
		attempt.answer <- c.status
	}
	receive(t, closed)
	require.Equal(t, 1, strings.Count(log.String(), "error not reported"), log)
}

func TestTheEndDoesNotWaitForASentryThatIsSilent(t *testing.T) {
	t.Parallel()
	r, attempts, _ := sentryThat(t, time.Hour)
	for range 3 {
		r.Report(critical.Event{Kind: critical.SourceDown})
	}
	receive(t, attempts)
	closed := make(chan struct{})
	go func() { defer close(closed); r.Close(time.Millisecond) }()
	receive(t, closed)
}

func TestReportsDoNotWait(t *testing.T) {
	t.Parallel()
	r, attempts, _ := sentryThat(t, time.Hour)
	for range 1000 { // more than may wait
		r.Report(critical.Event{Kind: critical.SourceDown})
	}
	receive(t, attempts)
	r.Close(time.Millisecond)
}
