// Package pgtest gives every test a real PostgreSQL database of its own.
//
// One server serves a test run: the one that `make test` starts for all
// packages (see the program in serve), else one per test process, found and
// run by internal/pgserver. A database is a clone of a template, so that a
// test pays for a copy of files and not for an installation; [New] clones one
// with bbmd's control schema, [NewEmpty] an empty one, [From] one of the
// caller's. Notifications and database-level advisory locks are a database's
// own, so all tests run in parallel; names of replication slots and of
// prepared transactions are the server's, so tests derive theirs from
// [Database.Name]. Transaction ids are the server's as well: making a
// replication slot waits for the open transactions of all tests, so a test
// that makes many, or that keeps transactions open for long, takes a
// [NewServer] of its own.
//
// It guarantees that databases go away with their test, whatever sessions,
// slots and prepared transactions a test leaves in them, and servers with
// their test process, also when that is killed. It never skips: a machine
// without PostgreSQL fails the test and says what to install.
package pgtest
