// Package status shows background migrations to people, and to programs that
// read JSON: a list, one of them in detail, and live as they get on.
//
// A [Follower] is fed by events and never polls: it looks when bbmd says that
// something changed, once more a second later (a reason may be written just
// after its event), and after every reconnect. What it saw goes to a [View]:
// progress bars on a terminal, plain lines elsewhere, or JSON lines.
//
// It guarantees that whatever keeps a migration from moving is shown, with its
// SQLSTATE where PostgreSQL said so. It changes nothing in the database.
package status
