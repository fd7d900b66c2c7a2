package executor

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/bbmd-dev/bbmd/internal/control"
)

const (
	// maxCrashes is how many workers one job may kill before it is left alone.
	maxCrashes = 5
	// transientsPerAttempt is how many transient failures weigh as much as one attempt: a
	// deadlock is nobody's fault, but for ever is too long.
	transientsPerAttempt = 50
	shortestDelay        = 100 * time.Millisecond
	longestDelay         = 10 * time.Second
)

// SQLSTATE codes that the protocol itself has to tell apart.
const (
	divisionByZero      = "22012" // the fence found no row
	undefinedTable      = "42P01" // the fence found no table
	uniqueViolation     = "23505"
	featureNotSupported = "0A000" // among others: a cached plan's result type changed
	unknownStatement    = "26000"
	readOnlyTransaction = "25006"
	diskFull            = "53100"
)

// transient reports whether an error is nobody's fault and may be gone at the next try:
// serialization failures and deadlocks, locks not available, a server that stops,
// a lost connection, resources used up.
func transient(err error) bool {
	var pgErr *pgconn.PgError
	if _, ok := errors.AsType[*pgconn.ConnectError](err); ok || !errors.As(err, &pgErr) {
		return connectionLost(err)
	}
	switch code := pgErr.Code; code {
	case "40001", "40P01", "55P03":
		return true
	default:
		return strings.HasPrefix(code, "53") || connectionLost(err)
	}
}

// connectionLost reports whether err is the end of a connection rather than an answer of the server.
func connectionLost(err error) bool {
	if _, ok := errors.AsType[*pgconn.ConnectError](err); ok || errors.Is(err, errConnection) {
		return true
	}
	if pgErr, ok := errors.AsType[*pgconn.PgError](err); ok {
		switch pgErr.Code {
		case "57P01", "57P02", "57P03", "57P05", "25P03", readOnlyTransaction, unknownStatement:
			return true
		}
		return strings.HasPrefix(pgErr.Code, "08")
	}
	return false
}

// outOfRoom reports whether the server has no room left on a disk. Nothing is wrong with any row, and there
// is no use in another batch until somebody makes room.
func outOfRoom(err error) bool {
	pgErr, ok := errors.AsType[*pgconn.PgError](err)
	return ok && pgErr.Code == diskFull
}

// structural reports whether a statement names what is not there: a table, a column, a function, a type or a schema
// that somebody has dropped, most probably, and that no other row would bring back.
func structural(sqlstate string) bool {
	switch sqlstate {
	case undefinedTable, "42703", "42883", "42704", "3F000":
		return true
	default:
		return false
	}
}

// claimError is an error of the look-ups that cut the next batches.
type claimError struct{ err error }

// notClaimed returns what a claim's error means; nil: somebody else was claiming for longer than we wait, ask again.
func notClaimed(err error) error {
	if errors.Is(err, errConnection) || !transient(err) || outOfRoom(err) {
		return &claimError{err}
	}
	return nil
}

func (e *claimError) Error() string { return "claim: " + e.err.Error() }
func (e *claimError) Unwrap() error { return e.err }

// errConnection marks errors of a connection that carry no SQLSTATE.
var errConnection = errors.New("connection lost")

// orConnection returns the error of a Work's own code as one of the connection where that ended meanwhile: it says
// nothing about the migration then, whatever it says. A deadline that the Work set itself is the Work's error.
func orConnection(conn *pgx.Conn, err error) error {
	if err != nil && conn.IsClosed() && !errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("%w: %w", errConnection, err)
	}
	return err
}

// describe turns an error of a Work into what the job's row says.
func describe(err error) control.Failure {
	var pgErr *pgconn.PgError
	if !errors.As(err, &pgErr) {
		return control.Failure{Message: err.Error(), Transient: transient(err)}
	}
	var message strings.Builder
	message.WriteString(pgErr.Message)
	for _, part := range []struct{ label, text string }{{"detail", pgErr.Detail}, {"hint", pgErr.Hint}, {"where", pgErr.Where}} {
		if part.text != "" {
			message.WriteString("; " + part.label + ": " + part.text)
		}
	}
	return control.Failure{SQLState: pgErr.Code, Message: message.String(), Transient: transient(err)}
}

// delay returns how long to wait before a session's try n+1, n from 1: doubling from
// a tenth of a second up to ten, with jitter of a quarter so that replicas do not march in step.
func delay(n int) time.Duration {
	d := longestDelay
	if n < 8 {
		d = min(shortestDelay<<max(n-1, 0), longestDelay)
	}
	jitter := time.Duration(rand.Int64N(int64(d)/2+1)) - d/4 //nolint:gosec // jitter needs no secret
	return d + jitter
}

// rangeOf describes a job's range for people.
func rangeOf(j *control.Job) string {
	if j.After == nil && j.First == nil {
		return "batch " + j.End // it has no range, only a place
	}
	if j.After == nil {
		return "keys up to " + j.End
	}
	return fmt.Sprintf("keys after %s up to %s", *j.After, j.End)
}
