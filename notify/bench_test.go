package notify_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/notify"
	"github.com/bbmd-dev/bbmd/testing/pgtest"
)

// BenchmarkWake is the time from sending a NOTIFY until the receiver has it, by a
// bare pgx connection and by a Listener. They take turns, one op being one of each
// kind, so that both see the same machine.
func BenchmarkWake(b *testing.B) {
	db := pgtest.NewEmpty(b)
	sender, bare := db.Conn(b), db.Conn(b)
	_, err := bare.Exec(b.Context(), "LISTEN bare")
	require.NoError(b, err)

	received := make(chan struct{}, 1)
	ctx, cancel := context.WithCancel(b.Context())
	var group sync.WaitGroup
	defer group.Wait()
	defer cancel()
	group.Go(func() {
		for {
			if _, err := bare.WaitForNotification(ctx); err != nil {
				return
			}
			received <- struct{}{}
		}
	})
	l, err := notify.NewListener(notify.ListenerConfig{URL: db.URL})
	require.NoError(b, err)
	group.Go(func() { _ = l.Run(ctx, func(notify.Event) { received <- struct{}{} }) })
	<-received // the resync

	var total [2]float64
	for b.Loop() {
		total[0] += wake(b, sender, "NOTIFY bare", received)
		total[1] += wake(b, sender, "NOTIFY bbm_new", received)
	}
	b.ReportMetric(total[0]/float64(b.N), "bare-µs")
	b.ReportMetric(total[1]/float64(b.N), "listener-µs")
	b.ReportMetric(total[1]/total[0], "ratio")
}

func wake(b *testing.B, sender *pgx.Conn, sql string, received <-chan struct{}) float64 {
	b.Helper()
	before := time.Now()
	_, err := sender.Exec(b.Context(), sql)
	require.NoError(b, err)
	<-received
	return time.Since(before).Seconds() * 1e6
}
