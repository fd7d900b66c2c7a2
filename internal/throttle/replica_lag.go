package throttle

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"
)

// replicaLag is how far the standbys' replay is behind this server, in bytes
// and in time, and how far logical slots are. Lag is a budget that is used up,
// not a gauge to steer by: it stops, and never slows down.
type replicaLag struct {
	standbys []standby // connected ones
	slots    []logicalSlot
	gone     map[string]absent // by key
	history  history
	flushed  int64
	started  string // when the server was
}

// standby is a physical standby that is connected. Walsenders that do not
// replay (base backups, pg_receivewal) are none.
type standby struct {
	Name   string   `json:"name"`
	Addr   string   `json:"addr"`
	State  *string  `json:"state"`  // nil: hidden
	Replay *int64   `json:"replay"` // nil: not known yet, or it never replays
	Lag    *float64 `json:"lag"`    // seconds, as the server says

	bytes int64
	time  time.Duration
}

func (s standby) key() string { return s.Name + " " + s.Addr }

// absent is a standby that has disconnected.
type absent struct {
	name string
	seen time.Time
}

type logicalSlot struct {
	Name  string `json:"name"`
	Bytes int64  `json:"bytes"`
}

// lagNoise is the lag in bytes below which the lag in time does not count: a
// standby that has caught up says so up to wal_receiver_status_interval (10 s)
// later, and by then small writes of others have made it "late".
const lagNoise = 1 << 20

// longestMissing bounds replica_lag.missing_for, and what is remembered for it.
const longestMissing = 24 * time.Hour

func newReplicaLag() *replicaLag { return &replicaLag{gone: map[string]absent{}} }

func (*replicaLag) name() string         { return "replica_lag" }
func (*replicaLag) mode(c *Config) Mode  { return c.ReplicaLag.Mode }
func (*replicaLag) every() time.Duration { return 0 }

// The server's own position is only asked for where there is something to
// compare it with: Amazon Aurora refuses to tell it. Who decodes the log is in a
// database, which every role may see, also before it has its slot; a standby is in none.
func (*replicaLag) query() string {
	return `(SELECT json_build_object(
  'flushed', CASE WHEN EXISTS (SELECT FROM pg_stat_get_wal_senders()) THEN pg_wal_lsn_diff(pg_current_wal_flush_lsn(), '0/0')::bigint END,
  'standbys', (SELECT coalesce(json_agg(json_build_object('name', a.application_name, 'addr', coalesce(host(a.client_addr), ''), 'state', w.state,
      'replay', pg_wal_lsn_diff(w.replay_lsn, '0/0')::bigint, 'lag', extract(epoch FROM w.replay_lag)) ORDER BY a.pid), '[]')
    FROM pg_stat_get_wal_senders() w JOIN activity a USING (pid) WHERE a.datid IS NULL),
  'slots', (SELECT coalesce(json_agg(json_build_object('name', slot_name,
      'bytes', pg_wal_lsn_diff(pg_current_wal_flush_lsn(), coalesce(confirmed_flush_lsn, restart_lsn))::bigint)), '[]')
    FROM pg_replication_slots
    WHERE slot_type = 'logical' AND NOT temporary AND coalesce(confirmed_flush_lsn, restart_lsn) IS NOT NULL AND wal_status IS DISTINCT FROM 'lost'),
  'started', extract(epoch FROM pg_postmaster_start_time())::text, 'role', quote_ident(current_user)))`
}

func (r *replicaLag) observe(answer []byte, at time.Time) error {
	var a struct {
		Flushed  *int64        `json:"flushed"`
		Standbys []standby     `json:"standbys"`
		Slots    []logicalSlot `json:"slots"`
		Started  string        `json:"started"`
		Role     string        `json:"role"`
	}
	if err := json.Unmarshal(answer, &a); err != nil {
		return fmt.Errorf("read answer: %w", err)
	}
	if a.Started != r.started {
		// After a failover the standbys of before are not this server's, and one of them is this server.
		*r = *newReplicaLag()
		r.started = a.Started
	}
	if a.Flushed != nil {
		r.flushed = *a.Flushed
		r.history.add(r.flushed, at)
	}
	r.slots = a.Slots
	secret := slices.ContainsFunc(a.Standbys, func(s standby) bool { return s.State == nil })
	a.Standbys = slices.DeleteFunc(a.Standbys, func(s standby) bool { return s.State != nil && s.Replay == nil })
	r.replace(a.Standbys, at)
	if secret {
		return &hidden{what: "how far the standbys are is hidden from " + a.Role, wayOut: grant(a.Role)}
	}
	return nil
}

// replace takes note of who is connected, and of who is not any more.
func (r *replicaLag) replace(connected []standby, at time.Time) {
	have := map[string]bool{}
	for i := range connected {
		s := &connected[i]
		have[s.key()] = true
		delete(r.gone, s.key())
		if s.Replay == nil {
			continue
		}
		s.bytes = max(0, r.flushed-*s.Replay)
		s.time = r.history.since(*s.Replay, at)
		if s.Lag != nil {
			s.time = max(s.time, seconds(*s.Lag))
		}
		if s.bytes < lagNoise {
			s.time = 0
		}
	}
	for _, s := range r.standbys {
		if !have[s.key()] {
			r.gone[s.key()] = absent{name: s.Name, seen: at}
		}
	}
	maps.DeleteFunc(r.gone, func(_ string, s absent) bool { return at.Sub(s.seen) > longestMissing })
	r.standbys = connected
}

func (r *replicaLag) judge(c *Config, v view) opinion {
	lag := &c.ReplicaLag
	worst := going(0, float64(lag.Bytes), UnitBytes)
	take := func(o opinion) {
		if o.worse(worst) || !worst.worse(o) && ratio(o) > ratio(worst) {
			worst = o
		}
	}
	for _, s := range r.standbys {
		if lag.counts(s.Name) {
			what := "replica lag of " + s.label(r.standbys)
			take(limited(what, float64(s.bytes), float64(lag.Bytes), UnitBytes, c, v))
			take(limited(what, s.time.Seconds(), time.Duration(lag.Time).Seconds(), UnitSeconds, c, v))
		}
	}
	for _, s := range r.slots {
		if lag.LogicalSlots > 0 {
			take(limited("lag of the logical slot "+s.Name, float64(s.Bytes), float64(lag.LogicalSlots), UnitBytes, c, v))
		}
	}
	if missing := r.missing(lag, v.now); missing != "" {
		take(worst.because(0, missing))
	}
	return worst
}

func ratio(o opinion) float64 {
	if o.limit <= 0 {
		return 0
	}
	return o.value / o.limit
}

// limited stops beyond a limit.
func limited(what string, value, limit float64, unit Unit, c *Config, v view) opinion {
	o := going(value, limit, unit)
	if !tooMuch(value, limit, float64(c.Resume), v.stands) {
		return o
	}
	return o.because(0, exceeded(what, value, limit, float64(c.Resume), unit))
}

// counts reports whether the standbys of that name are to be looked at.
func (lag *ReplicaLag) counts(name string) bool {
	if len(lag.Standbys) > 0 {
		return slices.Contains(lag.Standbys, name)
	}
	return !slices.Contains(lag.Ignore, name)
}

// missing says which standby is not connected and should be, or nothing.
func (r *replicaLag) missing(lag *ReplicaLag, now time.Time) string {
	for _, name := range lag.Standbys {
		if !slices.ContainsFunc(r.standbys, func(s standby) bool { return s.Name == name }) {
			return fmt.Sprintf("the standby %s, which replica_lag.standbys names, is not connected", name)
		}
	}
	if len(lag.Standbys) > 0 {
		return ""
	}
	var last absent
	for _, s := range r.gone {
		if lag.counts(s.name) && s.seen.After(last.seen) {
			last = s
		}
	}
	if away := now.Sub(last.seen); last.name != "" && away < time.Duration(lag.MissingFor) {
		return fmt.Sprintf("the standby %s disconnected %s ago, less than %s (then it counts as removed)", last.name, span(away), lag.MissingFor)
	}
	return ""
}

// label is the standby's name, with its address where others have the same.
func (s standby) label(all []standby) string {
	for _, other := range all {
		if other.Name == s.Name && other.Addr != s.Addr {
			return s.Name + " (" + s.Addr + ")"
		}
	}
	return s.Name
}
