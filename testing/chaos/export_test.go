package chaos

import (
	"testing"
	"time"
)

// Proxy is the proxy, seen from its tests.
type Proxy struct{ *proxy }

func NewProxy(tb testing.TB, serverURL string) (Proxy, string) {
	tb.Helper()
	p, through := newProxy(tb, serverURL)
	return Proxy{p}, through
}

func (p Proxy) Cut()     { p.cut() }
func (p Proxy) Stall()   { p.stall() }
func (p Proxy) Resume()  { p.resume() }
func (p Proxy) Abandon() { p.abandon() }
func (p Proxy) Release() { p.release() }

// NewFigures are the figures of a run that took a minute.
func NewFigures(name string, faults int, recovered map[string][]time.Duration, jobs int) *Figures {
	f := newFigures(name)
	f.injected, f.elapsed, f.jobs = faults, time.Minute, jobs
	for fault, all := range recovered {
		for _, after := range all {
			f.overcame(fault, after)
		}
	}
	return f
}
