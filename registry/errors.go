package registry

import (
	"errors"
	"fmt"
)

// The errors a caller acts upon. Their names follow the GitLab container
// registry's background migrations.
var (
	// ErrLockInUse says that as many workers as the migration's parallelism
	// allows are already on it. Go on with another migration.
	ErrLockInUse = errors.New("lock in use")

	// ErrJobEndpointNotFound says that the end of a job's range could not be
	// looked up, as when the table or its index went away. Nothing was claimed:
	// look at the table again.
	ErrJobEndpointNotFound = errors.New("job endpoint not found")

	// ErrMaxJobAttemptsReached says that a job failed as often as it may. Split
	// the job, quarantine its last row, or fail the migration.
	ErrMaxJobAttemptsReached = errors.New("maximum of job attempts reached")

	// ErrUnknownWork is their ErrWorkFunctionNotFound: no Work of that name is
	// registered in this process. The migration waits and does not fail, since
	// another replica or a later release may have the Work.
	ErrUnknownWork = errors.New("unknown work")

	// ErrUnverifiable says that a Work with a Verify has none for this
	// migration's arguments. Finish the migration as if Verify were nil.
	ErrUnverifiable = errors.New("cannot be verified")
)

// StatementError is what is wrong with the text of a statement and where.
type StatementError struct {
	Line   int    // counted from 1
	Column int    // in characters, counted from 1
	Reason string // what is wrong
	Fix    string // what to write instead
}

// Error returns position, reason and way out in one line.
func (e *StatementError) Error() string {
	return fmt.Sprintf("%d:%d: %s: %s", e.Line, e.Column, e.Reason, e.Fix)
}
