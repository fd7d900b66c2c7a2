package health

import (
	"context"
	"errors"
	"sync/atomic"
)

// Check is one reason for being alive, or ready.
type Check interface {
	// Name is shown with the result, such as listener/auth; it is unique
	// among the checks of one endpoint.
	Name() string
	// Check returns nil, or why not. It answers from what is known, without
	// a statement, and at the latest when ctx ends. It may be called from
	// any goroutine, but not twice at a time.
	Check(ctx context.Context) error
}

// CheckFunc returns a Check of that name that calls fn.
func CheckFunc(name string, fn func(ctx context.Context) error) Check {
	return checkFunc{name: name, fn: fn}
}

type checkFunc struct {
	name string
	fn   func(context.Context) error
}

func (c checkFunc) Name() string                    { return c.name }
func (c checkFunc) Check(ctx context.Context) error { return c.fn(ctx) }

// errUnknown is what a [Condition] says before it is set.
var errUnknown = errors.New("not known yet")

// Condition is a Check that remembers what it was last told, for parts that
// report a change when it happens. It is safe for concurrent use.
type Condition struct {
	name string
	last atomic.Pointer[error]
}

// NewCondition returns a Condition that fails until it is set.
func NewCondition(name string) *Condition {
	c := &Condition{name: name}
	c.Set(errUnknown)
	return c
}

// Set makes err, or nil for all is well, what the check answers from now on.
func (c *Condition) Set(err error) { c.last.Store(&err) }

// Name returns the condition's name.
func (c *Condition) Name() string { return c.name }

// Check returns what was set last.
func (c *Condition) Check(context.Context) error { return *c.last.Load() }

var (
	_ Check = checkFunc{}
	_ Check = (*Condition)(nil)
)
