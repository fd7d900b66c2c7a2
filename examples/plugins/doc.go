// Package examples holds the one file that a process plugin in Python or in Node
// needs, for `bbmd plugins new` to write. It guarantees that what authors get is
// what the examples beside it are tested with.
package examples
