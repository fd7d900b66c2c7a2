package notify_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/notify"
	"github.com/bbmd-dev/bbmd/testing/pgtest"
	"github.com/bbmd-dev/bbmd/testing/sourcetest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

func newListener(t *testing.T, url string, timing sourcetest.Timing) notify.Source {
	t.Helper()
	l, err := notify.NewListener(notify.ListenerConfig{
		URL:          url,
		PingInterval: timing.DeadAfter / 2,
		PingTimeout:  timing.DeadAfter / 2,
		RetryMax:     timing.RetryWithin,
	})
	require.NoError(t, err)
	return l
}

func TestListenerKeepsTheContract(t *testing.T) {
	t.Parallel()
	sourcetest.Run(t, sourcetest.Subject{New: newListener})
}
