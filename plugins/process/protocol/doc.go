// Package protocol is what bbmd and the child processes of process plugins say
// to each other, in version 1: one JSON object per line, in UTF-8, over the
// child's standard input and output. docs/plugin-protocol.md tells authors the
// same, and testdata holds transcripts that every implementation must agree
// with.
//
// The messages of bbmd are [Init], [Batch], [Verify], [Check], [Rows], [OK],
// [Error], [Cancel] and [Shutdown]; a child's are [Hello], [Query], [Exec],
// [Done], [Fail], [Unverifiable] and [Log].
//
// The package guarantees that what it decodes is complete, that a line is never
// longer than its [Reader] was told, and that every field is written even
// where it is empty. It ignores fields that it does not know, so that version 1
// can grow; it refuses types that it does not know, values that are neither a
// text nor null, and lines that are not one object in UTF-8.
package protocol
