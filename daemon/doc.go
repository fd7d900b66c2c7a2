// Package daemon runs bbmd: it brings the schemas of the configured databases up,
// listens for events on them and runs their background migrations. It is what `bbmd
// run` calls, and what a Go program embeds:
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
// connected to (and created, where it may be), its control schema installed or upgraded;
// then its listener and its executor run, and its schema is brought up or verified, of as many
// databases at a time as the configuration says. Background migrations run meanwhile: a schema
// migration may wait for one. The process is alive from the start, and ready once all of that is done.
//
// A schema migration that fails, or that somebody has to decide about, is tried again when the
// database or the files are different, when somebody else's run has ended, or when the
// configuration is loaded again; not before.
//
// Recreation: a change of force_recreate raises an event on its databases; every replica that has the same
// token tries, and one does it; what runs there is cancelled, on all replicas, and its batches end first.
//
// Stop, when the context ends or on SIGINT or SIGTERM (see [AsProcess]): readiness drops
// first; executors let running batches finish within shutdown_grace, cancel what is
// left, whose transactions roll back, and hand their jobs over; the probes are
// served until that is done. A second signal kills the process at once, which costs
// repeated work at most.
//
// An idle database sees one empty ping a minute, by the listener, and no statement.
//
// [Plan], [Migrate], [VerifyAll], [Baseline], [Stamp], [Reset], [Finalize] and [DryRun] do one thing
// and return: they are the commands of those names, and need no daemon. [Verify] is for services.
//
// # What it refuses
//
// It does not poll, and it does not run on a control schema that it cannot
// understand.
package daemon
