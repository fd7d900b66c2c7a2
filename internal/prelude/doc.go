// Package prelude lets a group of statements travel before those that the user of a connection is about to send, so that
// nobody waits for its answers alone: a batch's commit is answered with the next batch's first statement.
//
// It guarantees that the server does nothing of what the user sends behind a prelude that has failed. A guard goes before
// the user's statements, under the same Sync: a statement that only succeeds where the prelude has left the session as it should.
// PostgreSQL passes over everything from an error to the next Sync. The user gets the guard's error as that of its own
// statement, and can send nothing more until the owner of the connection has taken note. What a guard does not hold back
// (a simple query, a copy, more than one Sync in a write, what pgx writes past its frontend) is not sent before the prelude's answers are
// there, nor if it has failed.
//
// The prelude has a Sync of its own, so that a session whose client is frozen behind it is idle for the server, and ends like any
// other. The line refuses a prelude while another is on its way, and to know what statements mean. It is a leaf and imports
// nothing of bbmd.
package prelude
