// Package demo is the story that `bbmd demo` tells on a private PostgreSQL: a
// backfill over a big table that is paused once and whose daemon is killed
// once, and that nevertheless changes every row exactly once, which it then
// proves.
//
// Everything in it is real: the server, the table that pgbench makes, the
// daemon (another process of this program), the SQL that is shown. It guarantees
// that nothing is left behind, however it ends, and that an error means that
// the promise was not kept or could not be shown.
package demo
