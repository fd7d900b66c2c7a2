package throttle

import (
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// signal is something that is read from the server. One value serves all
// migrations of a database; each judges it by its own configuration.
type signal interface {
	// name as it is in configurations, reasons and metrics.
	name() string
	// mode in which a configuration reads it.
	mode(c *Config) Mode
	// every is how often it is read; 0 is the interval of the fast signals.
	every() time.Duration
	// query is a scalar subquery of type json. It may use the relation
	// activity and the parameters @pids and @tables; see statement.
	query() string
	// observe takes in what the query returned. A [*hidden] says that the
	// server keeps part of it from the role, and that the rest was taken in.
	observe(answer []byte, at time.Time) error
	// judge compares what was observed with the limits of a migration.
	judge(c *Config, v view) opinion
}

// forgetful is a signal that has to know that nobody has looked for a while.
type forgetful interface{ forget() }

// view is what a signal needs to know of the migration that it judges for.
type view struct {
	now    time.Time
	slow   bool // the signal's last opinion was not go
	stands bool // it was stop: the lower mark holds
	table  uint32
	pids   map[int32]bool // of the sessions that work on the migration
	// workers are those of all migrations that are not stopped: they share what the signal of
	// one of them leaves them.
	workers int
}

// hidden is the error of a signal that cannot be seen, and will not be by
// trying again: for want of a privilege, or of the function.
type hidden struct {
	what   string // cannot be seen
	wayOut string // what to do about it; may be empty
}

func (h *hidden) Error() string {
	if h.wayOut == "" {
		return h.what
	}
	return h.what + ": " + h.wayOut
}

// unseen are the sessions of which it is not known what they do.
type unseen struct {
	Hidden int    `json:"hidden"` // from the role
	Silent int    `json:"silent"` // they do not say
	Role   string `json:"role"`
}

// problem is nil where there are none.
func (u unseen) problem() error {
	switch {
	case u.Hidden > 0:
		return &hidden{what: fmt.Sprintf("what other roles' sessions do (%d of them) is hidden from %s", u.Hidden, u.Role), wayOut: grant(u.Role)}
	case u.Silent > 0:
		return &hidden{what: count(u.Silent, "session") + " with track_activities off", wayOut: "set it on"}
	default:
		return nil
	}
}

// grant is the way out of most hidden signals. The role is quoted already.
func grant(role string) string { return "GRANT pg_monitor TO " + role }

// The classes of errors that do not go away by themselves.
const (
	codeInsufficientPrivilege = "42501"
	codeUndefinedFunction     = "42883"
	codeUndefinedTable        = "42P01"
	codeUndefinedColumn       = "42703"
	codeNotSupported          = "0A000"
	codeWrongState            = "55000" // Amazon Aurora: "wal_level must be set to 'logical'"
)

// classify turns the error of a statement into a [*hidden] where trying again
// is of no use.
func classify(err error) error {
	var pgErr *pgconn.PgError
	if !errors.As(err, &pgErr) {
		return err
	}
	switch pgErr.Code {
	case codeInsufficientPrivilege:
		return &hidden{what: pgErr.Message, wayOut: "grant the privilege, or switch the signal off"}
	case codeUndefinedFunction, codeUndefinedTable, codeUndefinedColumn, codeNotSupported, codeWrongState:
		return &hidden{what: pgErr.Message, wayOut: "this server does not offer it; switch the signal off"}
	default:
		return err
	}
}

// slot is a signal and the state of its reading.
type slot struct {
	signal

	tried  time.Time // when reading last began; zero: it is due
	read   time.Time // when a value was last taken in; zero: there is none
	err    error     // of the last try
	failed time.Time // since when it fails
	alone  bool      // it has spoiled the statement of all: read it by itself
}

// forget makes it due, and takes nothing for known that it has seen.
func (s *slot) forget() {
	s.tried, s.read, s.err, s.failed = time.Time{}, time.Time{}, nil, time.Time{}
	if signal, ok := s.signal.(forgetful); ok {
		signal.forget()
	}
}

// take takes in the outcome of one try, and reports whether the kind of
// outcome is a new one that somebody should hear of.
func (s *slot) take(answer []byte, err error, at time.Time) (news bool) {
	partly := false
	if err == nil {
		err = s.observe(answer, at)
		partly = err != nil
	}
	var hide *hidden
	if err == nil || partly && errors.As(err, &hide) {
		s.read = at
	}
	before := s.err
	s.err = err
	if err == nil {
		s.failed = time.Time{}
		return before != nil
	}
	if s.failed.IsZero() {
		s.failed = at
	}
	return before == nil
}

// opinion is what the signal says of a migration, unread and hidden included.
func (s *slot) opinion(c *Config, v view) opinion {
	var hide *hidden
	switch {
	case errors.As(s.err, &hide):
		return s.hiddenOpinion(c, v, hide)
	case s.err != nil && s.read.IsZero():
		return opinion{}.because(0, fmt.Sprintf("%s cannot be read: %v", s.name(), s.err))
	case s.err != nil && v.now.Sub(s.failed) > time.Duration(c.UnreadableAfter):
		return opinion{}.because(0, fmt.Sprintf("%s has not been readable for %s, more than %s: %v",
			s.name(), span(v.now.Sub(s.failed)), c.UnreadableAfter, s.err))
	case s.read.IsZero():
		return opinion{}.because(0, s.name()+" has not been read yet")
	}
	return s.judge(c, v)
}

// hiddenOpinion is the worse of what can be seen and what not being able to
// see the rest means.
func (s *slot) hiddenOpinion(c *Config, v view, hide *hidden) opinion {
	var seen opinion
	if !s.read.IsZero() {
		seen = s.judge(c, v)
	}
	blind := seen.because(0, fmt.Sprintf("%s cannot be read: %v", s.name(), hide))
	if c.HiddenDuty > 0 && s.mode(c) == Auto {
		blind = seen.because(float64(c.HiddenDuty), fmt.Sprintf("%s cannot be read, work %s of the time: %v", s.name(), c.HiddenDuty, hide))
		if c.HiddenDuty == 1 {
			blind.action = Go
		}
	}
	if !s.read.IsZero() && seen.worse(blind) {
		return seen
	}
	return blind
}
