package process

import (
	"log/slog"
	"time"

	"github.com/bbmd-dev/bbmd/plugins/process/protocol"
)

// Options of a [Source]. The zero value of each field is its default.
type Options struct {
	// Logger takes what programs write to standard error, and what becomes of
	// them. Defaults to none.
	Logger *slog.Logger

	// Daemon is the version of bbmd that programs are told.
	Daemon string

	// MaxLine is the longest line either side may write, in bytes. Defaults to 16 MiB.
	MaxLine int

	// StartTimeout is how long a program may take from its start to its hello.
	// Defaults to 10s.
	StartTimeout time.Duration

	// CancelGrace is how long a program may take to answer when a task is
	// cancelled or its time is over, before it is killed. Defaults to 2s.
	CancelGrace time.Duration

	// StopGrace is how long a program may take to end when it is told to, before
	// it gets SIGTERM, and again before it gets SIGKILL. Defaults to 5s.
	StopGrace time.Duration

	// Backoff is the pause before the third start after starts or tasks ended
	// badly; it doubles from there on. The second start is at once. Defaults to 1s.
	Backoff time.Duration

	// MaxBackoff bounds the pause. A batch's transaction is open meanwhile, so it
	// has to be well below a minute. Defaults to 10s.
	MaxBackoff time.Duration

	// Count is told of everything that is worth a metric, with one of the Event
	// constants. It is called from many goroutines and must not block. Nil: nobody.
	Count func(plugin, event string)

	// Trace is told of every message but those for the log, by its type, when it has
	// been written to a program, or read and nothing has come of it yet. It may end
	// the program and all of its group by kill, at any time as long as the program
	// lives, as something outside of bbmd might. It is called by the goroutine that
	// talks to the program. Nil: nobody.
	Trace func(message string, kill func())
}

// The events that [Options].Count is told.
const (
	EventStart = "start" // a program was started
	EventCrash = "crash" // a program ended badly, or had to be killed
	EventTask  = "task"  // a program has answered a task

	EventGivenUp = "given_up" // programs ended badly so often in a row that none is started any more
)

func (o Options) withDefaults() Options {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.MaxLine == 0 {
		o.MaxLine = protocol.DefaultMaxLine
	}
	for _, d := range []struct {
		value *time.Duration
		or    time.Duration
	}{
		{&o.StartTimeout, 10 * time.Second},
		{&o.CancelGrace, 2 * time.Second},
		{&o.StopGrace, 5 * time.Second},
		{&o.Backoff, time.Second},
		{&o.MaxBackoff, 10 * time.Second},
	} {
		if *d.value == 0 {
			*d.value = d.or
		}
	}
	if o.Trace == nil {
		o.Trace = func(string, func()) {}
	}
	if o.Count == nil {
		o.Count = func(string, string) {}
	}
	return o
}
