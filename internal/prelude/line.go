package prelude

import (
	"errors"
	"io"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
)

// ErrFailed is what a user of the connection sees who writes behind a prelude that has failed. It ends the connection.
var ErrFailed = errors.New("statements that went before have failed: nothing more is sent")

var errBusy = errors.New("a prelude is on its way already")

// Line is where a connection's messages pass, between pgx and TLS or the socket. Its methods are called by whoever uses the
// connection, one at a time.
type Line struct {
	r io.Reader
	w io.Writer

	state    state
	guard    []byte
	awaited  awaited
	executed int             // statements of the prelude
	failure  *pgconn.PgError // of the first that was not; or of the guard

	answers
	in []byte

	through through
}

type state uint8

const (
	idle    state = iota
	sent          // the prelude is on its way
	covered       // with the guard and the user's own statements behind it
	failed        // and nobody has taken note
)

// awaited are the answers that are nobody's to read, in the order in which they come.
type awaited struct {
	prelude bool // to the statements of the prelude, and to its Sync
	guards  int  // to statements of the guard
}

// Send writes a prelude and its Sync, and keeps the guard for what the user writes next. The connection has to be
// idle, with nothing in flight, and the prelude to leave it in the state that pgx takes it for: in a transaction, or in none.
func (l *Line) Send(prelude, guard *Group) error {
	if err := errors.Join(prelude.err, guard.err); err != nil {
		return err
	}
	if l.state != idle {
		return errBusy
	}
	data, err := (&pgproto3.Sync{}).Encode(prelude.data)
	if err != nil {
		return err
	}
	prelude.data = data[:len(prelude.data)]
	l.state, l.guard, l.awaited = sent, guard.data, awaited{prelude: true, guards: guard.count}
	l.executed, l.failure = 0, nil
	_, err = l.pass(data)
	return err
}

// Outcome says what became of the last prelude: how many of its statements were executed, and the error of the next
// one, if there is one. It is not known before the user's next statement is answered.
func (l *Line) Outcome() (executed int, failure *pgconn.PgError, known bool) {
	return l.executed, l.failure, l.state == idle || l.state == failed
}

// Forget takes note of a failure: the connection can be used again.
func (l *Line) Forget() {
	if l.state == failed {
		l.state = idle
	}
}

// terminate is the message that says goodbye. pgx may send it from a goroutine of its own, when it gives a connection up.
const terminate = 'X'

// Write sends what the user has written, all that the server is to get before its next answer.
func (l *Line) Write(data []byte) (int, error) {
	if len(data) > 0 && data[0] == terminate {
		l.through.Add(1)
		return l.w.Write(data)
	}
	if l.state == sent && skippable(data) {
		return l.writeGuarded(data)
	}
	if err := l.settle(); err != nil {
		return 0, err
	}
	return l.pass(data)
}

func (l *Line) pass(data []byte) (int, error) {
	return l.through.do(func() (int, error) { return l.w.Write(data) })
}

// admit waits until somebody else than the line may write.
func (l *Line) admit() error {
	if l.through.Load() > 0 {
		return nil
	}
	return l.settle()
}

func (l *Line) writeGuarded(data []byte) (int, error) {
	l.state = covered
	before := len(l.guard)
	n, err := l.pass(append(l.guard[:before:before], data...))
	return max(n-before, 0), err
}

// settle waits until a prelude is answered, and its guard where one was sent. What the server says besides is kept for the user.
func (l *Line) settle() error {
	for l.state == sent || l.state == covered {
		if err := l.fill(0); err != nil {
			return err
		}
	}
	if l.state == failed {
		return ErrFailed
	}
	return nil
}

// Read returns what the server has sent, but for the answers that are nobody's.
func (l *Line) Read(data []byte) (int, error) {
	for len(l.out) == 0 {
		if err := l.fill(len(data)); err != nil {
			return 0, err
		}
	}
	n := copy(data, l.out)
	l.out = l.out[n:]
	return n, nil
}

// leastRead is the size of a socket read at the least, in bytes.
const leastRead = 8192

// fill reads from the server once, and sorts what has come.
func (l *Line) fill(size int) error {
	if size = max(size, leastRead); len(l.in) < size {
		l.in = make([]byte, size)
	}
	n, err := l.through.do(func() (int, error) { return l.r.Read(l.in) })
	l.sort(l.in[:n], l)
	if n > 0 {
		return nil // an error comes again
	}
	return err
}

// sorted reports of a message that begins whether it is the user's, and whether it is an error to be noted.
func (l *Line) sorted(kind byte) (keep, note bool) {
	guards := l.state == covered && l.awaited.guards > 0
	if !l.awaited.prelude && !guards {
		return true, false
	}
	switch kind {
	case '2', 'C', 'D', 'I', 'n', 's':
		return false, false
	case 'Z':
		return !l.awaited.prelude, false
	case 'E':
		return !l.awaited.prelude, true
	default: // notices, settings and notifications come at any time
		return true, false
	}
}

// took takes note of a message that has come, as far as it is nobody's.
func (l *Line) took(kind byte, text []byte) {
	switch {
	case l.awaited.prelude:
		l.tookOfPrelude(kind, text)
	case l.state == covered && l.awaited.guards > 0:
		l.tookOfGuard(kind, text)
	}
}

func (l *Line) tookOfPrelude(kind byte, text []byte) {
	switch kind {
	case 'C', 'I':
		l.executed++
	case 'E':
		l.failure = parseError(text)
	case 'Z':
		l.awaited.prelude = false
		if l.state == sent { // nobody has sent anything: there is nothing to guard
			l.end()
		}
	}
}

func (l *Line) tookOfGuard(kind byte, text []byte) {
	switch kind {
	case 'C', 'I':
		if l.awaited.guards--; l.awaited.guards == 0 {
			l.end()
		}
	case 'E':
		if l.failure == nil {
			l.failure = parseError(text)
		}
		l.end()
	}
}

func (l *Line) end() {
	l.state, l.awaited = idle, awaited{}
	if l.failure != nil {
		l.state = failed
	}
}
