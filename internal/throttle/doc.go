// Package throttle decides how hard background migrations may work right now.
//
// A set of signals is read from the server, or from the clock: how busy other
// sessions are, and how many are at it, how far standbys and the archive are behind, how much WAL is
// written, whether the table is being vacuumed, who waits for a lock of ours,
// who holds back the removal of dead rows, a query of the operator's own, time
// windows and a duty cycle. Each of them says go, slow (with a duty: the share
// of the time to work) or stop, with a reason that carries the comparison. The
// worst of them is the [Verdict].
//
// A [Sampler] reads for one database: everything that is due in one statement,
// about ten times a second, less often where an answer takes long, and no
// statement at all while no migration has begun or while a time window says
// stop anyway. A worker begins an [Activity], asks it for
// the verdict before each batch, which is an atomic load, and rests as it says
// without polling.
//
// It guarantees that nothing is taken for zero because it cannot be seen. A
// signal that was not read yet, or not for longer than the configuration
// allows, stops work; one that the server does not show to the role slows it
// down, or stops it where the operator has asked for that signal by name; and
// the reason names the GRANT that helps. A stop lifts only below a lower mark,
// by itself.
//
// It refuses configurations that make no sense, all mistakes at once, writes
// nothing on the server, runs the operator's queries in read-only transactions
// only, and needs no privileges to work. It imports nothing else of bbmd.
package throttle
