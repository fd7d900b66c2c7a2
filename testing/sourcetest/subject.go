package sourcetest

import (
	"testing"
	"time"

	"github.com/bbmd-dev/bbmd/internal/pgserver"
	"github.com/bbmd-dev/bbmd/notify"
	"github.com/bbmd-dev/bbmd/testing/pgtest"
)

// Subject says how to exercise one kind of source. Only New is needed for one
// that uses LISTEN.
type Subject struct {
	// New returns a source on the database at url, not running yet.
	New func(t *testing.T, url string, timing Timing) notify.Source

	// Prepare makes what the source needs in an empty database. Nil means
	// nothing.
	Prepare func(t *testing.T, db *pgtest.Database)

	// Empty returns a new database on a server that the source can work with. Nil
	// means one on the server that all tests share.
	Empty func(t *testing.T) *pgtest.Database

	// Change is one SQL statement, run in a transaction beside others. If that
	// transaction commits, the source delivers exactly one event for it. Defaults
	// to a NOTIFY on notify.ChannelNew with a payload of its own.
	Change string

	// Sessions is a query for the server processes of the sources that run on the
	// current database. Defaults to those that are called bbmd/listener.
	Sessions string

	// Connections is how many sessions one source has. Defaults to 1.
	Connections int

	// Server has the settings of a server that the source can work with, for the
	// tests that stop it.
	Server pgserver.Options
}

// Timing is what a test needs of a source's patience. Zero durations stand for
// the source's own defaults.
type Timing struct {
	// DeadAfter is within how much silence, roughly, the source has to notice
	// that its peer is gone. Between a half and the whole of it is fine.
	DeadAfter time.Duration
	// RetryWithin is how long, roughly, the source may wait between attempts.
	RetryWithin time.Duration
}

const (
	defaultChange   = "SELECT pg_notify('bbm_new', gen_random_uuid()::text)"
	defaultSessions = "SELECT pid FROM pg_stat_activity WHERE application_name = 'bbmd/listener' AND datname = current_database()"
)

func (s Subject) withDefaults() Subject {
	if s.Change == "" {
		s.Change = defaultChange
	}
	if s.Connections == 0 {
		s.Connections = 1
	}
	if s.Sessions == "" {
		s.Sessions = defaultSessions
	}
	if s.Prepare == nil {
		s.Prepare = func(*testing.T, *pgtest.Database) {}
	}
	if s.Empty == nil {
		s.Empty = func(t *testing.T) *pgtest.Database {
			t.Helper()
			return pgtest.NewEmpty(t)
		}
	}
	return s
}

// Run checks the whole contract, in parallel subtests.
func Run(t *testing.T, subject Subject) {
	t.Helper()
	subject = subject.withDefaults()
	for name, check := range map[string]func(*testing.T, Subject){
		"resync comes first":                resyncFirst,
		"subscribed before resync":          subscribedBeforeResync,
		"random terminations":               randomTerminations,
		"transaction open across a connect": openAcrossConnect,
		"one transaction is one event":      oneTransaction,
		"changes while disconnected":        changesWhileDisconnected,
		"rolled back":                       rolledBack,
		"slow consumer":                     slowConsumer,
		"idle is silent":                    idleIsSilent,
		"server stops":                      serverStops,
		"server crashes":                    serverCrashes,
		"not before it can be seen":         notBeforeVisible,
		"half open connection":              halfOpen,
		"ends with the cause":               endsWithTheCause,
		"ends while the server is away":     endsWhileServerIsAway,
		"ends while the server is mute":     endsWhileServerIsMute,
		"can be run again":                  canBeRunAgain,
		"two sources on one database":       twoSources,
		"databases do not hear one another": otherDatabase,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			check(t, subject)
		})
	}
}

// quick is the timing of the tests that wait for a source to recover.
func quick() Timing {
	return Timing{DeadAfter: time.Second, RetryWithin: 200 * time.Millisecond}
}
