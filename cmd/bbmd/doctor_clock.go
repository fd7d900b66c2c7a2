package main

import (
	"context"
	"fmt"
	"time"
)

// mostSkew is how far two clocks may be apart.
const mostSkew = 2 * time.Second

// checkClock compares the clock here with the server's, whose answer takes time to
// arrive: of some tries the quickest tells most.
func checkClock(ctx context.Context, p *patient) (string, error) {
	const tries = 5
	var skew, precision time.Duration
	for i := range tries {
		before := time.Now()
		var there time.Time
		if err := p.conn.QueryRow(ctx, "SELECT clock_timestamp()").Scan(&there); err != nil {
			return "", err
		}
		took := time.Since(before)
		if i == 0 || took/2 < precision {
			skew, precision = there.Sub(before.Add(took/2)), took/2
		}
	}
	return judgeSkew(skew, precision)
}

// judgeSkew says what a server's clock that is ahead by skew, give or take, does.
func judgeSkew(skew, precision time.Duration) (string, error) {
	direction := "ahead"
	if skew < 0 {
		skew, direction = -skew, "behind"
	}
	if skew > mostSkew+precision {
		return "", warn(fmt.Sprintf("the server's clock is %v %s of the one here", skew.Round(100*time.Millisecond), direction),
			"times in status, logs and metrics do not fit together, and a window opens by the clock here; no batch depends on it", "let both follow NTP")
	}
	return fmt.Sprintf("the server's is within %v of the one here", max(skew, precision).Round(time.Millisecond)+time.Millisecond), nil
}
