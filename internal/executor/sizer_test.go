package executor_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/internal/executor"
)

func TestSizer(t *testing.T) {
	t.Parallel()
	const target = 50 * time.Millisecond
	perKey := func(d time.Duration) func(int32) time.Duration {
		return func(size int32) time.Duration { return time.Duration(size) * d }
	}
	for name, c := range map[string]struct {
		start, least, most int32
		target             time.Duration
		took               func(size int32) time.Duration
		batches            int
		atLeast, atMost    int32
	}{
		"grows towards the target":             {1000, 10, 100000, target, perKey(5 * time.Microsecond), 200, 9000, 11000},
		"grows gently":                         {1000, 10, 100000, target, perKey(time.Microsecond), 10, 1500, 1500},
		"shrinks towards the target":           {4000, 10, 100000, target, perKey(50 * time.Microsecond), 100, 900, 1100},
		"cuts to a tenth at once":              {10000, 10, 100000, target, perKey(50 * time.Microsecond), 1, 1000, 1000},
		"stays where it is near the target":    {1000, 10, 100000, target, perKey(52 * time.Microsecond), 100, 1000, 1000},
		"keeps the cap":                        {1000, 10, 2000, target, perKey(time.Nanosecond), 1000, 2000, 2000},
		"keeps the floor":                      {100, 10, 2000, target, perKey(time.Second), 100, 10, 10},
		"leaves the size alone without target": {1000, 10, 100000, 0, perKey(time.Second), 100, 1000, 1000},
		"starts as told outside the limits":    {5, 10, 2000, target, perKey(10 * time.Millisecond), 9, 5, 5},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := executor.NewSizer(c.start, c.least, c.most, c.target)
			for range c.batches {
				s.Observe(s.Current(), c.took(s.Current()))
			}
			require.GreaterOrEqual(t, s.Current(), c.atLeast)
			require.LessOrEqual(t, s.Current(), c.atMost)
		})
	}
}

func TestSizerForgetsOtherSizes(t *testing.T) {
	t.Parallel()
	s := executor.NewSizer(1000, 10, 100000, 50*time.Millisecond)
	for range 100 {
		s.Observe(999, time.Hour)
	}
	require.EqualValues(t, 1000, s.Current())
}

// The foreground feels the slow batches, not the average; one outlier is no more than that.
func TestSizerSteersByTheSlowOnes(t *testing.T) {
	t.Parallel()
	s := executor.NewSizer(1000, 10, 100000, 50*time.Millisecond)
	for i := range 10 {
		took := time.Millisecond
		if i == 5 || i == 7 {
			took = 100 * time.Millisecond
		}
		s.Observe(1000, took)
	}
	require.EqualValues(t, 500, s.Current())
}

// What others feel is the length of a batch.
func TestSizerMakesBatchesShorterWhileThrottled(t *testing.T) {
	t.Parallel()
	s := executor.NewSizer(1000, 10, 100000, 50*time.Millisecond)
	work := func(batches int) {
		for range batches {
			s.Observe(s.Current(), time.Duration(s.Current())*10*time.Microsecond)
		}
	}
	work(100)
	require.InDelta(t, 5000, s.Current(), 500)
	s.Press(0.5)
	require.InDelta(t, 500, s.Current(), 50, "at once")
	work(100)
	require.InDelta(t, 500, s.Current(), 50)
	s.Press(1)
	work(100)
	require.InDelta(t, 5000, s.Current(), 500)

	short := executor.NewSizer(100, 10, 100000, 2*time.Millisecond)
	short.Press(0.5)
	for range 100 {
		short.Observe(short.Current(), time.Duration(short.Current())*10*time.Microsecond)
	}
	require.InDelta(t, 200, short.Current(), 20, "a target below that stays")
}

// The less of the time batches may take, the shorter they are.
func TestSizerMakesBatchesShorterTheLessTheyMayWork(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		duty   float64
		perKey time.Duration
		want   int32
	}{
		"not throttled":            {1, 10 * time.Microsecond, 5000},
		"some":                     {0.5, 10 * time.Microsecond, 500},
		"a tenth":                  {0.1, 10 * time.Microsecond, 500},
		"a twentieth":              {0.05, 10 * time.Microsecond, 250},
		"the least of traffic":     {0.02, 10 * time.Microsecond, 100},
		"shared by many workers":   {0.001, 10 * time.Microsecond, 100},
		"quick rows":               {0.02, time.Microsecond, 1000},
		"a server without time":    {0.02, 400 * time.Microsecond, 100},
		"dear rows":                {0.02, 2 * time.Millisecond, 25},
		"nothing below the limits": {0.02, time.Second, 10},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := executor.NewSizer(1000, 10, 100000, 50*time.Millisecond)
			s.Press(c.duty)
			for range 300 {
				s.Observe(s.Current(), time.Duration(s.Current())*c.perKey)
			}
			require.InEpsilon(t, c.want, s.Current(), 0.15)
		})
	}
}

// A size that is small already, since rows are that dear, is not made larger by a throttle.
func TestSizerKeepsSmallBatchesSmallWhileThrottled(t *testing.T) {
	t.Parallel()
	s := executor.NewSizer(1000, 10, 100000, 50*time.Millisecond)
	for range 100 {
		s.Observe(s.Current(), time.Duration(s.Current())*time.Millisecond)
	}
	require.InDelta(t, 50, s.Current(), 10)
	s.Press(0.02)
	for range 100 {
		s.Observe(s.Current(), time.Duration(s.Current())*time.Millisecond)
	}
	require.InDelta(t, 50, s.Current(), 10)
}
