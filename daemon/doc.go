// Package daemon runs bbmd: it listens for events on every configured database
// and runs their background migrations. It is what `bbmd run` calls, and what
// a Go program embeds:
//
//	d, err := daemon.New(cfg)
//	…
//	err = d.Run(ctx) // until ctx ends
//
// # What it guarantees
//
// Nothing but a wrong configuration at the start, or a port that is taken, ends
// it with an error. A database that is down, a lost connection, a control schema
// that is too new, a bad migration: the part that is concerned tries again for
// ever, readiness and the log say why, and the other databases do not notice.
//
// Start: the port of the probes is taken; then, beside each other, every database is
// connected to, its control schema installed or upgraded, and its listener and
// executor run. The process is alive from the start, and ready once all of them are.
//
// Stop, when the context ends or on SIGINT or SIGTERM (see [AsProcess]): readiness drops
// first; executors let running batches finish within shutdown_grace, cancel what is
// left, whose transactions roll back, and hand their jobs over; the probes are
// served until that is done. A second signal kills the process at once, which costs
// repeated work at most.
//
// An idle database sees one empty ping a minute, by the listener, and no statement.
//
// # What it refuses
//
// It does not poll, and it does not run on a control schema that it cannot
// understand.
package daemon
