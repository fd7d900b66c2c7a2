package notify_test

import (
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/notify"
)

func raised(f *notify.Flag) bool {
	select {
	case <-f.Wait():
		return true
	default:
		return false
	}
}

func TestFlag(t *testing.T) {
	t.Parallel()
	f := notify.NewFlag()
	require.False(t, raised(f), "new")
	f.Set()
	f.Set()
	f.Set()
	require.True(t, raised(f))
	require.False(t, raised(f), "any number of Sets is one wake")
	f.Set()
	require.True(t, raised(f), "again")
}

func TestSetsDuringAScanMakeExactlyOneMore(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := notify.NewFlag()
		var scans atomic.Int32
		stop := make(chan struct{})
		go func() {
			for {
				select {
				case <-f.Wait():
					scans.Add(1)
					advance(time.Second)
				case <-stop:
					return
				}
			}
		}()
		f.Set()
		synctest.Wait()
		require.EqualValues(t, 1, scans.Load())
		for range 10_000 {
			f.Set() // the scan is under way
		}
		advance(time.Minute)
		require.EqualValues(t, 2, scans.Load())
		close(stop)
	})
}

// After the last Set a scan begins, whatever the interleaving.
func TestFlagLosesNoSet(t *testing.T) {
	t.Parallel()
	const writers, changes = 4, 5_000
	f := notify.NewFlag()
	var state, seen atomic.Int64
	var group sync.WaitGroup
	for range writers {
		group.Go(func() {
			for range changes {
				state.Add(1)
				f.Set()
			}
		})
	}
	for seen.Load() < writers*changes {
		select {
		case <-f.Wait():
			seen.Store(state.Load())
		case <-time.After(30 * time.Second):
			require.FailNow(t, "a change was never seen", "%d of %d", seen.Load(), writers*changes)
		}
	}
	group.Wait()
}

func BenchmarkFlagSet(b *testing.B) {
	f := notify.NewFlag()
	b.ReportAllocs()
	for b.Loop() {
		f.Set()
	}
}
