// Command bench measures bbmd against bare PostgreSQL and prints a report in
// Markdown. It needs nothing but PostgreSQL's server binaries. A target that
// is missed is a verdict in the report, and an error with -strict; a row that was not
// changed exactly once is always an error.
package main
