// Package critical tells Sentry of what somebody has to look at: a migration that
// failed, a run on a schema that failed, a source of events that has been down for
// long, and a plugin whose programs crash again and again.
//
// It guarantees that an event holds names, numbers and SQLSTATEs alone: no message
// of an error, no statement, no value of a row, no connection string, no
// environment. What happened in words is in the log, under the same names. And
// it guarantees that nothing waits for Sentry. Where Sentry cannot be reached events wait for it, a hundred of them, in
// memory; at the end of the process those that are left are tried once more.
//
// It refuses to decide what is critical: who reports, reports once.
package critical
