// Package notify reports what PostgreSQL tells: events that mean "something
// changed, look". An event carries nothing that has to be trusted or delivered;
// the truth is in the tables, and whoever receives an event reads it there.
//
// # What it guarantees
//
// A [Source] subscribes, waits until the subscription is in force, and only then
// delivers a resync event; this it does again after every lost connection. So
// with a receiver that scans the tables on each event, a change is seen if it was
// committed before the resync (by that scan) or after it (by its own event), and
// a notification that was lost while nobody listened costs nothing.
//
// Receivers coalesce, never senders: [Flag] turns any number of events that
// arrive during a scan into exactly one more scan, and loses none.
//
// [Listener] is the source that uses LISTEN and NOTIFY. It sends nothing but one
// empty query a minute while the connection is idle, hands a notification over
// from the goroutine that read it off the socket, and notices a dead peer by TCP
// keepalive, TCP_USER_TIMEOUT and that one ping. It reconnects for as long as its
// context lasts.
//
// [Stream] is the source that decodes the changes of bbmd's own tables from the
// write-ahead log, by logical replication. It sends no statement while idle but
// answers the server's keepalives, holds no slot that outlives its connection, and
// delivers an event once what it is about can be seen, not when it is in the log.
// The two may be mixed on one database.
//
// # What it refuses
//
// It does not poll, does not buffer, and does not retry a delivery. A connection
// on which notifications cannot arrive is an error that says so, not a silent
// listener: a transaction pooler ([ErrTransactionPooler]), a hot standby
// ([ErrStandby]) and a database that may not be streamed ([ErrCannotStream]) are
// recognised. Notifications on channels that are not ours
// are counted and dropped; payloads are passed on as hints, whatever they hold.
package notify
