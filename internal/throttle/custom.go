package throttle

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// customPrefix begins the names of the signals of custom queries.
const customPrefix = "custom:"

// answer is what a custom query returned.
type answer struct {
	isNumber bool
	number   float64
	stop     bool   // a boolean's true, or a text's reason
	reason   string // a text's
}

// errNoAnswer is a custom query's that returned nothing to judge by.
var errNoAnswer = errors.New("the query returned no row, or NULL: that is an answer only for a query that returns text")

// toAnswer makes an answer of what was read. Value is nil for no row and NULL.
func toAnswer(value any, isText bool) (answer, error) {
	switch v := value.(type) {
	case nil:
		if isText {
			return answer{}, nil
		}
		return answer{}, errNoAnswer
	case bool:
		return answer{stop: v}, nil
	case float64:
		return answer{isNumber: true, number: v}, nil
	case string:
		reason := strings.Join(strings.Fields(v), " ")
		return answer{stop: reason != "", reason: reason}, nil
	default:
		return answer{}, errors.New("the query has to return a boolean, a number or a text: cast what it returns")
	}
}

// customKey tells queries apart. Migrations that have the same one share its answers.
type customKey struct {
	sql            string
	every, timeout Duration
}

func (c Custom) key() customKey {
	c = c.filled()
	return customKey{c.SQL, c.Every, c.Timeout}
}

// customSlot is a custom query and the state of its reading. It runs beside
// everything else, as it may take its time.
type customSlot struct {
	running bool
	tried   time.Time
	read    time.Time
	err     error
	failed  time.Time
	answer  answer
}

func (s *customSlot) take(a answer, err error, at time.Time) (news bool) {
	s.running = false
	before := s.err
	if s.err = err; err == nil {
		s.answer, s.read, s.failed = a, at, time.Time{}
		return before != nil
	}
	if s.failed.IsZero() {
		s.failed = at
	}
	return before == nil
}

// opinion is what the query says of a migration, unread included.
func (s *customSlot) opinion(c *Config, query Custom, v view) opinion {
	name := customPrefix + query.Name
	switch {
	case s.read.IsZero() && s.err == nil:
		return opinion{}.because(0, name+" has not been read yet")
	case s.read.IsZero():
		return opinion{}.because(0, fmt.Sprintf("%s cannot be read: %v", name, s.err))
	case s.err != nil && v.now.Sub(s.failed) > time.Duration(c.UnreadableAfter):
		return opinion{}.because(0, fmt.Sprintf("%s has not been readable for %s, more than %s: %v", name, span(v.now.Sub(s.failed)), c.UnreadableAfter, s.err))
	}
	return s.judge(c, query, v)
}

func (s *customSlot) judge(c *Config, query Custom, v view) opinion {
	o := going(0, query.Limit, UnitNone)
	var reason string
	switch {
	case s.answer.isNumber:
		o.value = s.answer.number
		if stops := o.value > o.limit || v.slow && o.limit > 0 && o.value >= o.limit*float64(c.Resume); !stops {
			return o
		}
		reason = exceeded(customPrefix+query.Name, o.value, o.limit, float64(c.Resume), UnitNone)
	case !s.answer.stop:
		return o
	default:
		o.value = 1
		reason = customPrefix + query.Name + " says " + s.answer.text()
	}
	if query.Duty > 0 {
		reason += fmt.Sprintf(": work %s of the time", query.Duty)
	}
	return o.because(float64(query.Duty), reason)
}

func (a answer) text() string {
	if a.reason == "" {
		return "true"
	}
	return a.reason
}
