// Package network has what every connection to a PostgreSQL server does alike, whoever
// opens it: sessions for statements (internal/dial) and for events (notify).
//
// It guarantees that a peer which has died is noticed without a statement, and that
// of several hosts those that are read-only are passed over where the server says that it is.
//
// It refuses to know what a connection is for, and opens none by itself. It is a leaf and imports nothing of bbmd.
package network
