package dev

import (
	"context"
	"errors"
)

// Hold takes the lock of a state directory, as a keeper does, and returns how to give it back.
func Hold(dir string) (release func() error, err error) {
	h := home(dir)
	if err := h.make(); err != nil {
		return nil, err
	}
	l, err := h.acquire()
	if err != nil {
		return nil, err
	}
	return l.release, nil
}

// IsHeld reports whether Hold failed because another process has the lock.
func IsHeld(err error) bool { return errors.Is(err, errHeld) }

// Holder returns who has the lock.
func Holder(dir string) (int, error) { return home(dir).holder() }

// Make makes a state directory.
func Make(dir string) error { return home(dir).make() }

// WriteState writes what a keeper says.
func WriteState(dir string, s State) error { return home(dir).writeState(&s) }

// Placed is what a configuration came to.
type Placed struct {
	Environ     []string
	Private     []string
	Development bool
	Fingerprint string
}

// Place configures an environment whose private server has that port and password.
func (e *Environment) Place(port int, password string) (Placed, error) {
	at := address{port: port, password: password}
	if e.options.Driver != nil {
		at.driver = *e.options.Driver
	}
	c, err := e.configure(at, usual())
	if err != nil {
		return Placed{}, err
	}
	return Placed{Environ: c.sources.Environ, Private: c.privates(), Development: c.DevelopmentMode, Fingerprint: c.fingerprint}, nil
}

// Vacant returns the addresses to listen on where those of the last time are known.
func Vacant(ctx context.Context, probes, dashboard string) (string, string, error) {
	found, err := vacant(ctx, addresses{Probes: probes, Dashboard: dashboard})
	return found.Probes, found.Dashboard, err
}

// BeginServer is what comes before every start of the server.
func (e *Environment) BeginServer() error { return (&keeper{Environment: e}).beginServer() }
