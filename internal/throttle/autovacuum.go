package throttle

import (
	"encoding/json"
	"fmt"
	"time"
)

// autovacuum is whether a vacuum is at work on a migration's table. It removes
// only rows that were dead when it began: what we update meanwhile is bloat
// until the next one, and slows this one down.
type autovacuum struct {
	vacuumed map[uint32]int32 // table of a migration to pid
}

func newAutovacuum() *autovacuum { return &autovacuum{} }

func (*autovacuum) name() string         { return "autovacuum" }
func (*autovacuum) mode(c *Config) Mode  { return c.Autovacuum.Mode }
func (*autovacuum) every() time.Duration { return time.Second }

// Which table an autovacuum works on is hidden from most roles, as it belongs
// to none; the lock that it holds on the table is not. Nothing is looked up
// while no vacuum runs.
func (*autovacuum) query() string {
	const members = `ARRAY(SELECT unnest(ARRAY[c.oid, c.reltoastrelid])
    FROM (SELECT t.oid UNION SELECT relid FROM pg_partition_tree(t.oid)) m JOIN pg_class c ON c.oid = m.oid)`
	return `(SELECT coalesce(json_agg(json_build_object('table', t.oid::bigint, 'pid', p.pid)), '[]')
FROM pg_stat_progress_vacuum p CROSS JOIN unnest(@tables::oid[]) t (oid)
WHERE p.datid = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND CASE WHEN p.relid IS NOT NULL THEN p.relid = ANY (` + members + `)
    ELSE EXISTS (SELECT FROM pg_locks l WHERE l.pid = p.pid AND l.granted AND l.mode = 'ShareUpdateExclusiveLock' AND l.relation = ANY (` + members + `)) END)`
}

func (a *autovacuum) observe(answer []byte, _ time.Time) error {
	var found []struct {
		Table uint32 `json:"table"`
		PID   int32  `json:"pid"`
	}
	if err := json.Unmarshal(answer, &found); err != nil {
		return fmt.Errorf("read answer: %w", err)
	}
	a.vacuumed = map[uint32]int32{}
	for _, f := range found {
		a.vacuumed[f.Table] = f.PID
	}
	return nil
}

func (a *autovacuum) judge(c *Config, v view) opinion {
	pid, vacuumed := a.vacuumed[v.table]
	if !vacuumed {
		return going(0, 0, UnitSessions)
	}
	reason := fmt.Sprintf("a vacuum is at work on the table (pid %d): waits until it is done", pid)
	if c.Autovacuum.Duty > 0 {
		reason = fmt.Sprintf("a vacuum is at work on the table (pid %d): work %s of the time", pid, c.Autovacuum.Duty)
	}
	return going(1, 0, UnitSessions).because(float64(c.Autovacuum.Duty), reason)
}
