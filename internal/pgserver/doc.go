// Package pgserver runs a private PostgreSQL server: for `bbmd demo`,
// `bbmd dev` and the tests.
//
// [Find] looks for server binaries where systems keep them, and [Start] runs
// them on a data directory of its own, on a unix socket and on a free port of
// the loopback interface.
//
// It guarantees that the server ends with its owner, also when the owner is
// killed: a guard process holds a pipe of the owner, ends the server when the
// pipe closes, and removes what is temporary. Should the guard be killed as
// well, the next Start of the same user clears up. On a machine shared with
// others nobody else gets in: the socket lies in a directory closed to others,
// and the port asks for a random password.
//
// It refuses to run PostgreSQL as root (root's server runs as the user
// postgres, else nobody), to share a data directory with another owner, and to
// open one that another major version has made. It imports nothing else of
// bbmd.
package pgserver
