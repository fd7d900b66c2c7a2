// Package rehearsal tries a background migration before it runs: what its
// statement's plan looks like, what its table has that makes it dear, and what
// some batches cost that are spread over the keys and rolled back. From that it
// projects how long the migration takes, how much WAL it writes and by how
// much the table grows.
//
// It guarantees that no row is different afterwards. What stays of a trial is
// WAL and dead row versions, as many as the tried batches have rows; sequences move
// on, and what a Work does outside of the database is done. Locks are those
// of the batches themselves, for as long as each takes.
//
// It says what it measured and what it estimates, and nothing where it can do neither.
package rehearsal
