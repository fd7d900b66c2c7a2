package initialize_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/internal/initialize"
)

func saying(code string) error { return &pgconn.PgError{Severity: "ERROR", Code: code, Message: "no"} }

func TestRetryUntilItSucceeds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var tries int
		var pauses []time.Duration
		err := initialize.Limits{Retry: time.Hour}.TryAgain(t.Context(), func() error {
			tries++
			if tries < 12 {
				return saying("55P03")
			}
			return nil
		}, func(_ error, pause time.Duration) { pauses = append(pauses, pause) })
		require.NoError(t, err)
		require.Len(t, pauses, 11)
		require.Less(t, pauses[0], time.Second, "a lock that is held for a moment costs little")
		require.LessOrEqual(t, pauses[10], 23*time.Second, "half a quarter of a minute more at most")
	})
}

func TestRetryGivesUp(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		limit time.Duration
		err   error
		tries func(int) bool
		text  string
	}{
		"when its time is over":      {time.Minute, saying("55P03"), func(n int) bool { return n > 3 }, "tried"},
		"at once where it is to":     {0, saying("55P03"), func(n int) bool { return n == 1 }, "SQLSTATE 55P03"},
		"about what others are not":  {time.Hour, saying("42P07"), func(n int) bool { return n == 1 }, "SQLSTATE 42P07"},
		"about what no server said":  {time.Hour, errors.New("no file"), func(n int) bool { return n == 1 }, "no file"},
		"but not at a deadlock":      {time.Minute, saying("40P01"), func(n int) bool { return n > 3 }, "SQLSTATE 40P01"},
		"nor at other transactions'": {time.Minute, saying("40001"), func(n int) bool { return n > 3 }, "SQLSTATE 40001"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				tries := 0
				begun := time.Now()
				err := initialize.Limits{Retry: test.limit}.TryAgain(t.Context(), func() error { tries++; return test.err }, func(error, time.Duration) {})
				require.ErrorIs(t, err, test.err)
				require.ErrorContains(t, err, test.text)
				require.True(t, test.tries(tries), "%d tries", tries)
				require.LessOrEqual(t, time.Since(begun), test.limit)
			})
		})
	}
}

func TestRetryEndsWithItsContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		stop := errors.New("SIGTERM")
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(10*time.Second, func() { cancel(stop) })
		err := initialize.Limits{Retry: time.Hour}.TryAgain(ctx, func() error { return saying("55P03") }, func(error, time.Duration) {})
		require.ErrorIs(t, err, stop)
		require.Equal(t, initialize.KindTransient, initialize.KindOf(err))
	})
}
