package throttle

import (
	"encoding/json"
	"fmt"
	"math"
	"time"
)

// traffic is how many other sessions run one statement after the other: there
// are people behind them who wait for the answers. Their slowest answers are
// those that a batch of ours came between, so what counts is in how many of
// them that happens, however many cores are free on average. That is what
// [busy] looks at, and why it finds nothing wrong with a server on which every
// second answer is late.
//
// A session counts while it has begun or ended a statement in the last tenth
// of a second. One statement that runs for an hour does not count, nor does a
// session that waits for its client, in a transaction or not; sessions of bbmd,
// of any replica and database, are left out.
//
// What a hidden session does is not to be seen, but which transaction it is in is. One that
// is in another than at the last reading runs one after the other.
//
// Somebody who has just run one statement, as who enqueues a migration has, is met by the first reading
// and is no traffic: it stands for the tenth of a second that it is about, and not for all that is known.
type traffic struct {
	sessions smooth
	within   map[int32]string // transactions that hidden sessions were in at the last reading
	idle     bool             // nobody has looked since then
}

// trafficSmoothing is the time constant: duties fall within a second of
// the first statement, and are back some seconds after the last.
const trafficSmoothing = time.Second

const (
	trafficWindow = 100 * time.Millisecond // that a reading is about
	trafficFresh  = 10 * time.Second       // after which one from before an idle time says nothing of now
)

// hiddenCounts is how many sessions one counts for that was met in a transaction: most of those that run
// short ones are between two of them when they are looked at.
const hiddenCounts = 10

// The parts of the limit between which the duty falls from all to the least.
// Below, a statement now and then (a monitor, somebody at a terminal) is no
// traffic; it is over at the lower of the two.
const (
	trafficBegins = 0.10
	trafficEnds   = 0.05
)

func newTraffic() *traffic { return &traffic{sessions: smooth{constant: trafficSmoothing}} }

func (*traffic) name() string         { return "traffic" }
func (*traffic) mode(c *Config) Mode  { return c.Traffic.Mode }
func (*traffic) every() time.Duration { return 0 }

func (*traffic) query() string {
	return `(SELECT json_build_object(
  'sessions', count(*) FILTER (WHERE backend_type = 'client backend' AND state_change > clock_timestamp() - interval '100 ms'),
  'within', json_object_agg(pid, concat_ws('/', backend_xid, backend_xmin)) FILTER (WHERE secret AND (backend_xid IS NOT NULL OR backend_xmin IS NOT NULL)),
  'hidden', count(*) FILTER (WHERE secret),
  'silent', count(*) FILTER (WHERE state = 'disabled' AND backend_type = 'client backend'),
  'role', quote_ident(current_user))
FROM activity WHERE NOT ours)`
}

func (s *traffic) observe(answer []byte, at time.Time) error {
	var a struct {
		Sessions int              `json:"sessions"`
		Within   map[int32]string `json:"within"`
		unseen
	}
	if err := json.Unmarshal(answer, &a); err != nil {
		return fmt.Errorf("read answer: %w", err)
	}
	s.afterIdle(a.Within, at)
	for pid, transaction := range a.Within {
		if s.within[pid] != transaction {
			a.Sessions += hiddenCounts
		}
	}
	s.within = a.Within
	s.sessions.add(float64(a.Sessions), at)
	return a.problem()
}

func (s *traffic) forget() { s.idle = true }

// afterIdle makes the first reading after a while stand for what it is about. What was there a moment ago is taken
// to be there still: many short migrations in a row are not to begin at full speed each.
func (s *traffic) afterIdle(within map[int32]string, at time.Time) {
	if !s.idle {
		return
	}
	if at.Sub(s.sessions.last) > trafficFresh {
		s.sessions.value = 0
	}
	s.sessions.last, s.within, s.idle = at.Add(-trafficWindow), within, false
}

func (s *traffic) judge(c *Config, v view) opinion {
	value, full := s.sessions.value, float64(c.Traffic.Sessions)
	o := going(value, full, UnitSessions)
	begins := full * trafficBegins
	if value <= full*trafficEnds || value <= begins && !v.slow {
		return o
	}
	who := "others run statements (" + UnitSessions.Text(value) + ")"
	share := min(max(0, (value-begins)/(full-begins)), 1)
	if c.Traffic.Duty == 0 {
		const least = 0.001 // an average comes near what it is of, and not there
		if 1-share < least || v.stands && value > full*float64(c.Resume) {
			return o.because(0, who+": waits until they do not")
		}
		return o.because(1-share, fmt.Sprintf("%s: work %s of the time", who, Share(1-share)))
	}
	// A factor, and no difference: half as much is as much of a change wherever it is.
	duty := math.Pow(float64(c.Traffic.Duty), share) / float64(max(v.workers, 1))
	reason := fmt.Sprintf("%s: work %s of the time", who, Share(duty))
	if v.workers > 1 {
		reason += ", with " + count(v.workers, "worker")
	}
	return o.because(duty, reason)
}
