// Package terminal writes what people read: tables, progress bars, figures.
//
// A [Screen] knows what it writes to. On a terminal there are colors (unless
// NO_COLOR is set), tables that fit the width, and [Bars] that are redrawn in
// place; elsewhere the same text without any of it, for pipes and logs.
//
// It guarantees that text which came from a database cannot do anything to the
// terminal: control characters are replaced, and one cell stays on one line. It
// knows nothing of migrations.
package terminal
