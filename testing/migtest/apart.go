package migtest

import (
	"context"
	"fmt"
	"io"
	"runtime"
	"runtime/debug"
	"slices"
	"sync"
	"testing"
)

// apart is a test that the go command knows nothing of, with as much of one as
// checks use.
type apart struct {
	testing.TB // nil: makes it one

	name string
	ctx  context.Context //nolint:containedctx // that of the test, as Context returns it
	end  context.CancelFunc

	mu       sync.Mutex
	failed   bool
	skipped  bool
	says     []string
	cleanups []func()
}

var _ testing.TB = (*apart)(nil)

func newApart(ctx context.Context, name string) *apart {
	a := &apart{name: name}
	a.ctx, a.end = context.WithCancel(ctx)
	return a
}

// run runs a check to its end, which may be that of its goroutine.
func (a *apart) run(check func(testing.TB)) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer a.cleanUp()
		defer a.survive()
		check(a)
	}()
	<-done
}

// survive makes a failure of a panic: the Works are foreign.
func (a *apart) survive() {
	if p := recover(); p != nil {
		a.Errorf("panic: %v\n%s", p, debug.Stack())
	}
}

// cleanUp calls what was left for the end, the last first.
func (a *apart) cleanUp() {
	a.end()
	for {
		a.mu.Lock()
		last := len(a.cleanups) - 1
		if last < 0 {
			a.mu.Unlock()
			return
		}
		call := a.cleanups[last]
		a.cleanups = a.cleanups[:last]
		a.mu.Unlock()
		func() {
			defer a.survive()
			call()
		}()
	}
}

func (a *apart) Helper() {}

func (a *apart) Name() string { return a.name }

func (a *apart) Context() context.Context { return a.ctx }

// Output is for what the executor logs.
func (a *apart) Output() io.Writer { return io.Discard }

func (a *apart) Cleanup(call func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.cleanups = append(a.cleanups, call)
}

func (a *apart) say(text string, failed bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.says, a.failed = append(a.says, text), a.failed || failed
}

func (a *apart) Log(args ...any)                 { a.say(fmt.Sprint(args...), false) }
func (a *apart) Logf(format string, args ...any) { a.say(fmt.Sprintf(format, args...), false) }

func (a *apart) Error(args ...any)                 { a.say(fmt.Sprint(args...), true) }
func (a *apart) Errorf(format string, args ...any) { a.say(fmt.Sprintf(format, args...), true) }

func (a *apart) Fatal(args ...any) {
	a.Error(args...)
	runtime.Goexit()
}

func (a *apart) Fatalf(format string, args ...any) {
	a.Errorf(format, args...)
	runtime.Goexit()
}

func (a *apart) Fail() { a.say("it failed", true) }

func (a *apart) FailNow() {
	a.Fail()
	runtime.Goexit()
}

func (a *apart) Failed() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.failed
}

func (a *apart) Skip(args ...any) {
	a.mu.Lock()
	a.skipped, a.says = true, slices.Concat(a.says, []string{fmt.Sprint(args...)})
	a.mu.Unlock()
	runtime.Goexit()
}

func (a *apart) Skipf(format string, args ...any) { a.Skip(fmt.Sprintf(format, args...)) }
