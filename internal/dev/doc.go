// Package dev is a developer's environment in a project: a private PostgreSQL
// with the databases that nothing else has a server for, and a daemon that looks
// after all of them. It is what `bbmd dev` runs.
//
// Server and daemon belong to one process, the keeper ([Environment.Serve]), which
// [Environment.Up] starts in the background. It holds a lock of the kernel's in
// the project's state directory for as long as it lives, so that nobody ever
// trusts, or signals, a process id that a file merely names. Data, log and
// password stay in that directory until [Environment.Clean].
//
// It guarantees:
//
//   - Up can be repeated, from anywhere at once, and after anything: a killed
//     keeper, a killed server, a port that somebody else has taken, an up that was
//     interrupted.
//   - Connection strings that are configured are used as they are. Only
//     databases without one are put on the private server.
//
// The daemon in it verifies schemas and does not bring them up by itself, unless on_start says so: a
// file that is still being written is nobody's migration yet.
//
// It refuses databases that are marked as production, before anything is done to any of
// them, and state directories that hold what it has not made.
package dev
