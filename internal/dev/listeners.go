package dev

import (
	"cmp"
	"context"
	"errors"
	"net"
	"syscall"
)

// addresses are what the daemon listens on.
type addresses struct {
	Probes    string `json:"probes,omitempty"`
	Dashboard string `json:"dashboard,omitempty"`
}

// usual are the addresses where none are configured: of this machine alone.
func usual() addresses { return addresses{Probes: "127.0.0.1:8080", Dashboard: "127.0.0.1:8081"} }

// listener is something that the daemon listens for.
type listener struct {
	key, variable string // of the configuration
	of            func(*addresses) *string
}

func listeners() []listener {
	return []listener{
		{"http.listen", "BBMD_HTTP__LISTEN", func(a *addresses) *string { return &a.Probes }},
		{"dashboard.listen", "BBMD_DASHBOARD__LISTEN", func(a *addresses) *string { return &a.Dashboard }},
	}
}

// listening are the addresses that a keeper has, or would have.
func (s *State) listening() addresses {
	return addresses{Probes: cmp.Or(s.Listen, usual().Probes), Dashboard: cmp.Or(s.Dashboard, usual().Dashboard)}
}

// vacant returns the usual addresses, and in the place of those that somebody has, the ones of
// the last time, or any.
func vacant(ctx context.Context, last addresses) (addresses, error) {
	found := usual()
	for _, l := range listeners() {
		at := l.of(&found)
		for _, candidate := range []string{*at, *l.of(&last), "127.0.0.1:0"} {
			got, err := tryListen(ctx, candidate)
			if err == nil {
				*at = got
				break
			}
			if !errors.Is(err, syscall.EADDRINUSE) {
				return found, err
			}
		}
	}
	return found, nil
}

// tryListen listens for a moment, and returns where it did.
func tryListen(ctx context.Context, address string) (string, error) {
	if address == "" {
		return "", syscall.EADDRINUSE // there was no last time
	}
	var config net.ListenConfig
	l, err := config.Listen(ctx, "tcp", address)
	if err != nil {
		return "", err
	}
	got := l.Addr().String()
	return got, l.Close()
}
