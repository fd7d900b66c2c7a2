package throttle

import (
	"encoding/json"
	"fmt"
	"time"
)

// blocked is who waits for a lock that one of our sessions holds, or waits for
// before them. Between batches our transactions hold no locks, so a stop lets
// them through.
type blocked struct {
	waiting []waiter
}

type waiter struct {
	By   int32  `json:"by"`
	PID  int32  `json:"pid"`
	Name string `json:"name"`
}

// mostWaiters bounds the work of one look: each takes all locks of the lock
// manager for a moment.
const mostWaiters = 50

func newBlocked() *blocked { return &blocked{} }

func (*blocked) name() string         { return "blocked" }
func (*blocked) mode(c *Config) Mode  { return c.Blocked.Mode }
func (*blocked) every() time.Duration { return 0 }

// What a hidden session waits for is in pg_locks, for everybody to see, which
// is only looked at while there are hidden sessions. A session of bbmd counts
// when it waits for a relation, as schema migrations do; our workers wait for
// each other elsewhere, by design.
func (*blocked) query() string {
	return fmt.Sprintf(`(SELECT coalesce(json_agg(json_build_object('by', b.pid, 'pid', w.pid, 'name', w.application_name)), '[]')
FROM (SELECT pid, application_name FROM activity
  WHERE wait_event_type = 'Lock' AND (NOT ours OR wait_event = 'relation') AND pid <> ALL (@pids::int4[])
  UNION
  SELECT pid, application_name FROM activity WHERE secret AND NOT ours AND pid IN (
    SELECT pid FROM pg_locks WHERE NOT granted AND EXISTS (SELECT FROM activity WHERE secret))
  LIMIT %d) w
CROSS JOIN LATERAL unnest(pg_blocking_pids(w.pid)) b (pid)
WHERE b.pid = ANY (@pids::int4[]))`, mostWaiters)
}

func (b *blocked) observe(answer []byte, _ time.Time) error {
	b.waiting = nil
	if err := json.Unmarshal(answer, &b.waiting); err != nil {
		return fmt.Errorf("read answer: %w", err)
	}
	return nil
}

func (b *blocked) judge(_ *Config, v view) opinion {
	waits := map[int32]bool{}
	var first waiter
	for _, w := range b.waiting {
		if v.pids[w.By] {
			if len(waits) == 0 {
				first = w
			}
			waits[w.PID] = true
		}
	}
	o := going(float64(len(waits)), 0, UnitSessions)
	if len(waits) == 0 {
		return o
	}
	who := fmt.Sprintf("pid %d", first.PID)
	if first.Name != "" {
		who += ", " + first.Name
	}
	return o.because(0, fmt.Sprintf("%s waiting for a lock of this migration (%s), more than 0: lets them through", count(len(waits), "session"), who))
}
