package protocol

import (
	"bufio"
	"errors"
	"fmt"
	"io"
)

// DefaultMaxLine is how long a line may be, in bytes, its end included.
const DefaultMaxLine = 16 << 20

// ErrTooLong says that a line is longer than its Reader takes. What follows on
// the stream means nothing: end the other side.
var ErrTooLong = errors.New("line is too long")

// Reader cuts a stream into lines. It holds at most one line in memory, and is
// not safe for concurrent use.
type Reader struct {
	from *bufio.Reader
	max  int
	line []byte
}

// NewReader returns a Reader whose lines are at most longest bytes, their ends included.
func NewReader(from io.Reader, longest int) *Reader {
	return &Reader{from: bufio.NewReaderSize(from, 64<<10), max: longest}
}

// Next returns the next line without its end, which is good until the next
// call. It returns io.EOF where the stream ends between lines,
// io.ErrUnexpectedEOF where it ends inside one, and an error that wraps
// [ErrTooLong]. After a temporary error, such as a deadline, it goes on where it
// stopped.
func (r *Reader) Next() ([]byte, error) {
	for {
		piece, err := r.from.ReadSlice('\n')
		if len(r.line)+len(piece) > r.max {
			return nil, fmt.Errorf("%w: more than %d bytes", ErrTooLong, r.max)
		}
		if err == nil && len(r.line) == 0 {
			return piece[:len(piece)-1], nil
		}
		r.line = append(r.line, piece...)
		switch {
		case err == nil:
			whole := r.line[:len(r.line)-1]
			r.line = nil // a long line's memory is not kept
			return whole, nil
		case errors.Is(err, bufio.ErrBufferFull):
		case errors.Is(err, io.EOF) && len(r.line) > 0:
			return nil, io.ErrUnexpectedEOF
		default:
			return nil, err
		}
	}
}
