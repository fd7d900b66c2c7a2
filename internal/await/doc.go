// Package await waits until a database is where somebody needs it: its schema, a
// version, a background migration, or all of them.
//
// It listens before it looks, so that it hears of everything that happens after
// its first look; the end of a run on the schema and every change of a migration's status
// raise an event. It looks again for each line of progress, which also finds what
// raises no event: a migrator that died, or a tool that is none of bbmd's. While there is no
// connection it tries for one, with growing pauses: a database that is not there yet is waited for.
//
// It has one session per database, which holds no lock, and no transaction
// outside a look. It needs CONNECT, USAGE on the control schema, and SELECT on its tables
// and on the version table.
//
// It gives up early on what waiting does not mend: a recorded failure that nobody
// repeats, and a database about which somebody has to decide. It changes nothing.
package await
