// Package catalog reads what is in a database from PostgreSQL's catalogs,
// versions 13 to 18, and can take it out again.
//
//   - [UserObjects] lists what makes a database not empty.
//   - [Take] reads the schema of a database into a [Snapshot], a plain value
//     with a stable order, good as JSON. [Compare] says how two of them differ,
//     object by object, in words.
//   - [Drop] drops all that users have made, but not what it is told to keep.
//   - [Shadow] makes a throw-away database on the same server and drops it.
//   - [Fingerprint] sums up the rows of every table, to show that they are
//     untouched.
//
// What belongs to an extension, to PostgreSQL itself, to a session (temporary
// tables) or to a schema that the caller excludes is nobody's schema and never
// counts. A schema that an extension has made is the extension's with all that
// is in it.
//
// It guarantees that reading changes nothing, that a snapshot does not depend
// on the session's settings, and that two equal schemas have equal snapshots
// whatever order their objects, columns and constraints were made in.
//
// It leaves out of a snapshot what is tuned or granted per installation and
// not declared with the schema: owners, privileges, comments, tablespaces, the
// storage of tables and columns, planner statistics targets, foreign servers,
// publications, subscriptions and event triggers. The order of a table's columns
// does not count either: it differs between a table made at once and the same
// table grown by migrations.
package catalog
