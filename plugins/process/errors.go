package process

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/bbmd-dev/bbmd/plugins/process/protocol"
)

// insufficientResources is the SQLSTATE by which the executor knows that a
// failure is nobody's fault and may be gone at the next try.
const insufficientResources = "53000"

// passing makes an error that the executor sees as nobody's fault.
func passing(format string, args ...any) error {
	return &passingError{fmt.Errorf(format, args...)}
}

// passingError is an error and, to those who look for one, PostgreSQL's.
type passingError struct{ err error }

func (e *passingError) Error() string { return e.err.Error() }

func (e *passingError) Unwrap() []error {
	return []error{e.err, &pgconn.PgError{Severity: "ERROR", Code: insufficientResources, Message: e.err.Error()}}
}

// The ways in which a program ends badly, besides what the protocol refuses.
var (
	errEnded   = errors.New("it ended in the middle of a task")
	errHangs   = errors.New("it did not answer when its task was cancelled")
	errWrongID = errors.New("it answered with a wrong id")
	errKind    = errors.New("it answered with a message that does not belong there")
)

// CrashError says that a plugin's program ended in the middle of a task, or had
// to be killed. What the batch had written is rolled back.
type CrashError struct {
	Plugin string
	Err    error // why
}

// Error says which plugin, and why.
func (e *CrashError) Error() string {
	return fmt.Sprintf("program of plugin %s: %v", e.Plugin, e.Err)
}

// Unwrap returns why.
func (e *CrashError) Unwrap() error { return e.Err }

// whyBroken says what a failed read or write means, after the program was killed.
func (c *child) whyBroken(err error) error {
	if broken, ok := errors.AsType[*brokenError](err); ok {
		why := c.whyBroken(broken.err)
		if broken.after != nil {
			why = fmt.Errorf("%w, after: %w", why, broken.after)
		}
		return why
	}
	switch {
	case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, os.ErrClosed) || isPipe(err):
		if c.err == nil {
			return fmt.Errorf("%w, without an error", errEnded)
		}
		return fmt.Errorf("%w: %w", errEnded, c.err)
	case errors.Is(err, protocol.ErrTooLong):
		return fmt.Errorf("it wrote too much: %w: read fewer rows at a time, or write them in several statements", err)
	case errors.Is(err, os.ErrDeadlineExceeded):
		return errHangs
	default:
		return err
	}
}

// clipMessage shortens what a program says of its failure, which is kept with the job.
func clipMessage(message string) string {
	const limit = 4 << 10
	if message == "" {
		return "the plugin failed and did not say why"
	}
	if len(message) <= limit {
		return message
	}
	return strings.ToValidUTF8(message[:limit], "") + "…"
}
