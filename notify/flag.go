package notify

// Flag remembers that there is something to look at, between whoever delivers
// events and the one goroutine that scans:
//
//	for {
//		select {
//		case <-flag.Wait():
//			scan() // until clean
//		case <-ctx.Done():
//			return context.Cause(ctx)
//		}
//	}
//
// Receiving from Wait lowers the flag, and that happens before the scan starts.
// So an event that arrives during a scan, however many of them, leads to exactly
// one more scan, and none is lost.
//
// Make one with [NewFlag]. All methods may be called from any goroutine.
type Flag struct {
	raised chan struct{}
}

// NewFlag returns a flag that is not raised.
func NewFlag() *Flag { return &Flag{raised: make(chan struct{}, 1)} }

// Set raises the flag. It never blocks, and does nothing if the flag is up.
func (f *Flag) Set() {
	select {
	case f.raised <- struct{}{}:
	default:
	}
}

// Wait returns the channel on which the raised flag is taken down. It is always
// the same channel, never closed, and serves one receiver per Set: a flag is for
// one scanning goroutine.
func (f *Flag) Wait() <-chan struct{} { return f.raised }
