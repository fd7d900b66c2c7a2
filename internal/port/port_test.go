package port_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/internal/port"
)

const patience = 30 * time.Second

var errStop = errors.New("the test is over")

// answering is a request that is being answered until release is closed, by a port that is served.
type answering struct {
	port    *port.Port
	log     bytes.Buffer // to be read once served has said something
	stop    context.CancelCauseFunc
	served  chan error
	release chan struct{}
	body    chan string // "" if it was cut off
}

func answer(t *testing.T, serving port.Serving) *answering {
	t.Helper()
	a := &answering{
		port:   &port.Port{Address: "127.0.0.1:0", Purpose: "a test", Setting: "a.test"},
		served: make(chan error, 1), release: make(chan struct{}), body: make(chan string, 1),
	}
	arrived := make(chan struct{})
	serving.Server = &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		close(arrived)
		<-a.release
		_, _ = io.WriteString(w, "whole")
	})}
	serving.Logger = slog.New(slog.NewTextHandler(&a.log, nil))
	require.NoError(t, a.port.Listen(t.Context()))
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(t.Context()))
	a.stop = cancel
	go func() { a.served <- a.port.Serve(ctx, serving) }()
	go func() { a.body <- get(context.WithoutCancel(ctx), "http://"+a.port.Addr().String()) }()
	wait(t, arrived)
	return a
}

func get(ctx context.Context, url string) string {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return err.Error()
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Do(request)
	if err != nil {
		return ""
	}
	defer func() { _ = response.Body.Close() }()
	body, _ := io.ReadAll(response.Body)
	return string(body)
}

func wait[T any](t *testing.T, c <-chan T) (value T) {
	t.Helper()
	select {
	case value = <-c:
	case <-time.After(patience):
		t.Fatal("nothing comes")
	}
	return value
}

func TestWhatIsBeingAnsweredIsFinished(t *testing.T) {
	t.Parallel()
	done, drained := make(chan struct{}), make(chan struct{})
	a := answer(t, port.Serving{Done: done, Grace: patience, Drain: func(context.Context) { close(drained) }})
	a.stop(errStop)
	require.Empty(t, a.served, "it serves until the work is done")
	close(done)
	close(a.release)
	require.Equal(t, "whole", wait(t, a.body))
	require.ErrorIs(t, wait(t, a.served), errStop)
	wait(t, drained)
	require.Empty(t, a.log.String())
	require.ErrorIs(t, a.port.Close(), net.ErrClosed, "the port is free again")
}

func TestWhatTakesTooLongIsCutOff(t *testing.T) {
	t.Parallel()
	a := answer(t, port.Serving{Grace: time.Millisecond})
	a.stop(errStop)
	require.Empty(t, wait(t, a.body))
	require.ErrorIs(t, wait(t, a.served), errStop)
	require.Contains(t, a.log.String(), "cut off requests at shutdown")
	close(a.release)
}

func TestAServerThatBreaksIsToldOf(t *testing.T) {
	t.Parallel()
	a := answer(t, port.Serving{Grace: patience})
	close(a.release)
	require.Equal(t, "whole", wait(t, a.body))
	require.NoError(t, a.port.Close())
	require.ErrorContains(t, wait(t, a.served), "serve a test: accept tcp")
	a.stop(errStop)
}

func TestAPortThatCannotBeHad(t *testing.T) {
	t.Parallel()
	first := &port.Port{Address: "127.0.0.1:0"}
	require.NoError(t, first.Listen(t.Context()))
	defer func() { _ = first.Close() }()
	for address, way := range map[string]string{
		first.Addr().String(): "has the port: stop it, or set a.test",
		"192.0.2.1:0":         "set a.test to an address of this machine that bbmd may use",
	} {
		second := &port.Port{Address: address, Purpose: "a test", Setting: "a.test"}
		err := second.Serve(t.Context(), port.Serving{})
		require.ErrorContains(t, err, "listen for a test: ")
		require.ErrorContains(t, err, way)
		require.Nil(t, second.Addr())
		require.NoError(t, second.Close())
	}
}

func TestWithoutAnAddressNothingIsServed(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errStop)
	none := &port.Port{}
	require.NoError(t, none.Listen(ctx))
	require.Nil(t, none.Addr())
	require.ErrorIs(t, none.Serve(ctx, port.Serving{}), errStop)
}
