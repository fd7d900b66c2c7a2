// Package initialize brings one database to the schema that its code needs. It
// looks, plans and acts: it creates an empty database from declared models or
// from its migrations, runs what is pending, adopts a database that was migrated
// by other means, and drops and creates one anew where that is allowed.
//
// # What it guarantees
//
// Looking changes nothing, not even a table of a migration tool. Whoever acts
// holds one session advisory lock per database, (7704, 0), polled and never
// waited for inside the server, where a waiter would deadlock CREATE INDEX
// CONCURRENTLY; of many replicas that start at once on an empty database one
// creates it, and the others find it done. A database that is up to date is
// looked at, without a lock and without a trace.
//
// Every run that changes something is a row of bbm.runs from before its first
// change, written on a connection of its own, so that a failure stays recorded
// when everything else rolls back. A process that is killed at any point leaves
// a database whose state is told right the next time; what it left behind
// (sessions of its children, invalid indexes of a step outside a transaction) is
// cleared away before anything else happens.
//
// Adopting touches no data: its only write to the user's part of the database is the version table.
//
// # What it refuses
//
// It stops, says what it found and names the way out, before it changes anything:
// where two tools' version tables contradict each other, where a database is another tool's and nobody
// said that the files count, where a tool has left its history dirty, where the database knows revisions that the files do not have or
// is newer than the files, where a schema without history is not the declared
// one, where an applied file was edited, and where a pending step is older than an applied
// one. It refuses hot standbys and connections through a transaction pooler, and it
// recreates nothing outside development mode, nothing that is marked as
// production, and nothing twice for the same token.
package initialize
