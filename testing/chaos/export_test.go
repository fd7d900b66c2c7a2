package chaos

import "testing"

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
