// Package dial opens sessions on a configured database: the daemon's control
// pool, its workers' connections, and those of the commands.
//
// It guarantees that the connection string is read anew for every connection,
// so that a rotated secret needs no restart; that every session says who it is
// (application_name), is bounded by time-outs, and notices a dead peer by TCP
// keepalive on both sides; and that its errors are one line and hold no
// password. Settings that a server does not know are left out, and those that
// a pooler refuses at the start of a session are set after it.
//
// It refuses hot standbys, on which nothing of ours could be written, and servers
// that have missed a promotion after which it has worked on the promoted one: an
// old primary that has come back. Sessions on such a server end when the promoted
// one is met for the first time.
//
// An idle pool sends no statement: whether an idle connection is still there is
// asked of the kernel, not of the server.
package dial
