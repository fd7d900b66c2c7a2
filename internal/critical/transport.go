package critical

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"time"

	"github.com/cenkalti/backoff/v5"
)

const (
	// queued is how many events wait while Sentry cannot be reached, each of one or two kilobytes. Those that come
	// when there are so many are lost: what happened first is what has to be looked at.
	queued = 100
	// giveUpAfter bounds for how long one event is tried, and keeps those behind it waiting.
	giveUpAfter    = time.Hour
	attemptTimeout = 10 * time.Second
	firstPause     = time.Second
	longestPause   = time.Minute
	// mostAnswer is how much of an answer is read.
	mostAnswer = 1 << 16
)

// persistent tries an event again while Sentry cannot be reached. It is used by one goroutine, which is the library's, and
// for which nobody waits before the end.
type persistent struct {
	to     *http.Transport
	log    *slog.Logger
	pause  time.Duration   // the first
	hurry  chan struct{}   // closed: each event is tried once more
	ctx    context.Context // ended: none is
	cancel context.CancelFunc

	failing bool
}

func newPersistent(log *slog.Logger) *persistent {
	ctx, cancel := context.WithCancel(context.Background())
	return &persistent{
		to: &http.Transport{Proxy: http.ProxyFromEnvironment}, log: log, pause: firstPause, hurry: make(chan struct{}), ctx: ctx, cancel: cancel,
	}
}

// end gives up what is left.
func (p *persistent) end() {
	p.cancel()
	p.to.CloseIdleConnections()
}

// RoundTrip is part of [http.RoundTripper].
func (p *persistent) RoundTrip(request *http.Request) (*http.Response, error) {
	pauses := backoff.NewExponentialBackOff()
	pauses.InitialInterval, pauses.MaxInterval = p.pause, longestPause
	for began := time.Now(); ; {
		last := p.hurried() || time.Since(began) > giveUpAfter
		response, err := p.attempt(request)
		why := unreachable(response, err)
		switch {
		case why == nil:
			p.again()
			return response, err
		case last || p.ctx.Err() != nil:
			p.log.WarnContext(p.ctx, "error not reported", "error", why)
			return response, err
		}
		p.wait(why, pauses.NextBackOff())
	}
}

// attempt sends a request once, and reads the answer, so that nothing is left open.
func (p *persistent) attempt(request *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithTimeout(p.ctx, attemptTimeout)
	defer cancel()
	once := request.Clone(ctx)
	if request.GetBody != nil {
		body, err := request.GetBody()
		if err != nil {
			return nil, err
		}
		once.Body = body
	}
	response, err := p.to.RoundTrip(once)
	if err != nil {
		return nil, err
	}
	answer, err := io.ReadAll(io.LimitReader(response.Body, mostAnswer))
	if closed := response.Body.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return nil, fmt.Errorf("read Sentry's answer: %w", err)
	}
	response.Body = io.NopCloser(bytes.NewReader(answer))
	return response, nil
}

// unreachable says why an event has to be sent again. What Sentry refuses it would refuse again, and to
// 429 it says itself for how long it wants nothing more.
func unreachable(response *http.Response, err error) error {
	if err == nil && response.StatusCode >= http.StatusInternalServerError {
		return fmt.Errorf("sentry answers %s", response.Status)
	}
	return err
}

// wait waits before the next attempt, and tells the log once of an outage.
func (p *persistent) wait(why error, pause time.Duration) {
	if !p.failing {
		p.failing = true
		p.log.WarnContext(p.ctx, "errors wait for Sentry", "error", why)
	}
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-p.hurry:
	case <-p.ctx.Done():
	}
}

// again says that an outage is over.
func (p *persistent) again() {
	if p.failing {
		p.failing = false
		p.log.InfoContext(p.ctx, "errors are reported again")
	}
}

func (p *persistent) hurried() bool {
	select {
	case <-p.hurry:
		return true
	default:
		return false
	}
}
