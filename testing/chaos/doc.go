// Package chaos kills everything at random, and checks that every row is
// processed exactly once all the same.
//
// A [Scenario] is generated from a seed: a table, a Work that is not idempotent
// (n = n + 1), one or two daemons, which are real processes, on a private server
// of their own, and a list of faults. Each fault happens when the migration has
// got on by so many jobs since the one before, as seen in the database, so that
// the same seed does the same to a slow machine and a fast one. [Run] plays it:
//
//	kill -9 of a daemon, or of one of its server processes, with which the whole server crashes
//	pg_terminate_backend of any of a daemon's sessions
//	immediate restart of the server
//	SIGTERM, SIGSTOP and SIGCONT of a daemon
//	connections cut, stalled, slow and half open, by a proxy between a daemon and the server
//	packets dropped in silence, so that the kernels' own time-outs have to find out
//	rows that the application keeps locked, and deadlocks with it
//	the server's clock set ahead and back by hours
//	no room left on the disk of the table, of the control schema, or of the write-ahead log
//	pause and resume, a row that fails its batch and a retry, a row deleted at the end of a batch
//
// After each, work has to go on within a deadline, and after each crash of the
// server the rows have to agree with the bookkeeping. In the end, and after one
// more restart directly behind "finished", package invariants judges what is
// left, and the daemons' logs are compared with it. How long it took until work
// went on is reported, not asserted.
//
// Clock and disk are those that the server sees: testdata/world.c stands between it and the C
// library, so that this takes no privileges, and harms nobody else. In the long form the disk is a real
// file system as well, where that may be mounted. A daemon has no clock to be set: it measures time by
// the monotonic one, which a test holds it to.
//
// [RunStorm] has several of these happen at once, while migrations of different Works and keys are under way
// on several tables, and users pause, resume, retry, enqueue and change tables meanwhile.
//
// [RunUpheavals] has many migrations under way, and changes the table of each: columns, types, names,
// indexes, partitions, all rows, the table itself. Each has to end as the documentation says, by
// name and with the way out, and keep no other from going on.
//
// [RunFailover] promotes a streaming standby while daemons work, by each way that a daemon finds the
// primary, and has the old one come back. [RunVersions] puts two releases beside each other, and
// upgrades the control schema under load.
//
// Run with -long for many more faults, with -seed N to replay a run, and with
// -run for one scenario of it. A [Report] in the end says what there was, and how long until work went on.
package chaos
