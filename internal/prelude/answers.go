package prelude

import (
	"encoding/binary"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
)

// answers takes the server's messages apart, wherever a read may have cut them.
type answers struct {
	head [headerSize]byte // of the message that is being read
	have int              // bytes of the head that have come
	body uint32           // bytes that are missing behind it
	keep bool             // the message is the user's to read
	note bool             // it is an error to be noted
	text []byte           // its body so far

	out    []byte // for the user
	memory []byte // where it lies
}

// sort takes in bytes, and keeps those that are the user's.
func (a *answers) sort(data []byte, l *Line) {
	if len(a.out) == 0 {
		a.out = a.memory[:0]
	}
	defer func() {
		if cap(a.out) > cap(a.memory) {
			a.memory = a.out[:0]
		}
	}()
	for len(data) > 0 {
		if a.have < headerSize {
			n := copy(a.head[a.have:], data)
			a.have, data = a.have+n, data[n:]
			if a.have == headerSize {
				a.begin(l)
			}
			continue
		}
		n := min(len(data), int(a.body))
		a.add(data[:n])
		a.body, data = a.body-uint32(n), data[n:] //nolint:gosec // n is no more than body
		a.ended(l)
	}
}

func (a *answers) begin(l *Line) {
	const own = 4 // the length counts itself
	a.body = max(binary.BigEndian.Uint32(a.head[1:]), own) - own
	a.keep, a.note = l.sorted(a.head[0])
	if a.keep {
		a.out = append(a.out, a.head[:]...)
	}
	a.ended(l)
}

func (a *answers) add(part []byte) {
	if a.keep {
		a.out = append(a.out, part...)
	}
	if a.note {
		a.text = append(a.text, part...)
	}
}

func (a *answers) ended(l *Line) {
	if a.body > 0 {
		return
	}
	a.have = 0
	l.took(a.head[0], a.text)
	a.text = a.text[:0]
}

// parseError reads the body of an ErrorResponse. One that cannot be read is an error nevertheless.
func parseError(body []byte) *pgconn.PgError {
	var message pgproto3.ErrorResponse
	if err := message.Decode(body); err != nil {
		return &pgconn.PgError{Severity: "ERROR", Message: "an error that cannot be read: " + err.Error()}
	}
	return pgconn.ErrorResponseToPgError(&message)
}
