// Package migrations holds the Works that ship with bbmd. A user enqueues them
// from SQL and writes no Go at all; docs/works.md says how. Each registers
// itself with the default registry when the package is imported.
//
// Every Work here is one SQL statement for a batch and so goes to the server in
// one round trip with the batch's bookkeeping. Before a migration starts, its
// check names what is missing: the table, a column, a type, and asks PostgreSQL
// to plan the statement, which finds every mistake but those in the data.
//
// Every Work can also count the rows of a range that are not as it leaves
// them, where its arguments allow it.
//
// None of them writes a column of the key that the batches walk along, since
// a row could then be processed twice or never; that is refused. In execute_sql
// the refusal reads the statement's text and does not see through functions,
// triggers and views.
package migrations
