// Package process makes Works of programs in any language. A plugin is a
// directory with a manifest, plugin.json, and a program that speaks the JSON
// lines of plugins/process/protocol over its standard input and output; see
// docs/plugins-process.md.
//
// To the executor such a Work is an ordinary one. Its program never sees a
// database: what it wants done it says, and the batch's own transaction does it,
// so that rows and bookkeeping are committed together or not at all. A program
// that crashes, hangs, writes what is no message or too much of it is ended with
// its process group, its batch is rolled back, and other Works go on.
//
// The package guarantees that a program runs only as the bytes its digest
// stands for, one task at a time, in an environment that holds what the
// manifest lists and nothing else, and that on Linux it ends with bbmd however
// bbmd ends. It refuses unknown keys in a manifest, statements that could end
// or leave the transaction, and variables that name a database.
//
// What it does not do is fence off a program that means harm: that one runs as
// the same user. See [Undumpable] for what the daemon does about its own
// memory and environment.
package process
