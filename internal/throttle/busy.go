package throttle

import (
	"encoding/json"
	"fmt"
	"runtime"
	"time"
)

// busy is the number of other sessions that run a statement, smoothed. Every
// one of them has a use for a core, or for what our batches would take away
// from it.
//
// Sessions of bbmd are left out, of any replica and database, or they would
// slow one another down; so are those that wait for their client or sleep.
type busy struct {
	active smooth
	local  bool
}

// busySmoothing is the time constant: one sample says little, as most
// statements are much shorter than the time between two samples.
const busySmoothing = time.Second

// remoteCores is assumed where the number of cores cannot be known. Few: too
// few cores slow a migration down, too many slow the application down.
const remoteCores = 4

func newBusy() *busy { return &busy{active: smooth{constant: busySmoothing}} }

func (*busy) name() string         { return "busy" }
func (*busy) mode(c *Config) Mode  { return c.Busy.Mode }
func (*busy) every() time.Duration { return 0 }

// The server runs on this machine when the session came through a unix
// socket, or when both of its ends have the same address.
func (*busy) query() string {
	return `(SELECT json_build_object(
  'active', count(*) FILTER (WHERE state IN ('active', 'fastpath function call') AND backend_type IN ('client backend', 'parallel worker')
    AND coalesce(wait_event_type, '') NOT IN ('Client', 'Timeout')),
  'hidden', count(*) FILTER (WHERE secret),
  'silent', count(*) FILTER (WHERE state = 'disabled' AND backend_type = 'client backend'),
  'local', inet_server_addr() IS NULL OR inet_server_addr() = inet_client_addr(),
  'role', quote_ident(current_user))
FROM activity WHERE NOT ours)`
}

func (b *busy) observe(answer []byte, at time.Time) error {
	var a struct {
		Active int  `json:"active"`
		Local  bool `json:"local"`
		unseen
	}
	if err := json.Unmarshal(answer, &a); err != nil {
		return fmt.Errorf("read answer: %w", err)
	}
	b.active.add(float64(a.Active), at)
	b.local = a.Local
	return a.problem()
}

// cores returns the number to compare with, and whether it is a guess.
func (b *busy) cores(c *Config) (cores int, guess bool) {
	switch {
	case c.Busy.Cores > 0:
		return c.Busy.Cores, false
	case b.local:
		return runtime.NumCPU(), false
	default:
		return remoteCores, true
	}
}

// Below the one duty it slows down, and above the other it goes again, so that
// a session now and then does not make it flicker.
const (
	busySlows = 0.90
	busyGoes  = 0.97
)

func (b *busy) judge(c *Config, v view) opinion {
	cores, guess := b.cores(c)
	o := going(b.active.value, float64(cores), UnitCores)
	free := max(0, 1-b.active.value/float64(cores))
	duty := free * free
	if duty >= busyGoes || duty >= busySlows && !v.slow {
		return o
	}
	duty = max(duty, float64(c.Busy.Floor))
	reason := fmt.Sprintf("other sessions keep %s of %s cores busy", decimal(b.active.value), decimal(o.limit))
	if guess {
		reason += " (the number of cores is a guess: set busy.cores)"
	}
	const least = 0.001
	if v.stands && float64(c.Busy.Floor) == 0 && b.active.value > o.limit*float64(c.Resume) {
		duty = 0
	}
	if duty < least {
		return o.because(0, reason)
	}
	return o.because(duty, reason+fmt.Sprintf(": work %s of the time", Share(duty)))
}
