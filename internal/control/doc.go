// Package control owns the control schema: its tables, functions and triggers,
// their installation and upgrade, and every query on them.
//
// It guarantees that what it installs is installed whole or not at all, that
// installing twice changes nothing, that an older bbmd keeps working beside a
// schema that says it may, and that no query of the executor costs more as
// finished jobs add up. It decides nothing: when which query runs is the
// executor's business. It refuses to run on a schema that is newer than it
// can understand.
package control
