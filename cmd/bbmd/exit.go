package main

import (
	"context"
	"errors"
	"net"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
)

// The exit codes: what a script, a Job or an init container can act on.
const (
	exitOK          = 0
	exitUnexpected  = 1
	exitUsage       = 2  // wrong arguments or configuration: trying again does not help
	exitPending     = 3  // something is still to be done
	exitTimeout     = 4  // what was waited for did not happen in time
	exitUnreachable = 69 // the database cannot be reached
	exitRefused     = 73 // a guard refused it
	exitTransient   = 75 // nobody's fault: try again
)

// exitError is an error with the exit code that it ends the process with.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string { return e.err.Error() }
func (e *exitError) Unwrap() error { return e.err }

// withCode gives err the exit code that it ends the process with, instead of
// the one that [exitCode] would find. Nil stays nil.
func withCode(code int, err error) error {
	if err == nil {
		return nil
	}
	return &exitError{code: code, err: err}
}

// exitCode returns the code that err ends the process with.
func exitCode(err error) int {
	var coded *exitError
	var connect *pgconn.ConnectError
	var pgErr *pgconn.PgError
	var network net.Error
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &coded):
		return coded.code
	case errors.As(err, &connect):
		return exitUnreachable
	case errors.As(err, &pgErr):
		return sqlExitCode(pgErr.Code)
	case errors.Is(err, context.DeadlineExceeded):
		return exitTimeout
	case errors.As(err, &network):
		return exitUnreachable
	default:
		return exitUnexpected
	}
}

// sqlExitCode tells the errors that pass from those that do not.
func sqlExitCode(sqlstate string) int {
	const (
		serializationFailure = "40001"
		deadlockDetected     = "40P01"
		lockNotAvailable     = "55P03"
		queryCanceled        = "57014"
	)
	switch {
	case strings.HasPrefix(sqlstate, "08"), strings.HasPrefix(sqlstate, "57P"):
		return exitUnreachable
	case strings.HasPrefix(sqlstate, "53"),
		slices.Contains([]string{serializationFailure, deadlockDetected, lockNotAvailable, queryCanceled}, sqlstate):
		return exitTransient
	default:
		return exitUnexpected
	}
}
