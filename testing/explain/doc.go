// Package explain counts the buffers that statements touch, so that tests and
// measurements can say what a statement costs without a clock.
//
// [On] wraps a connection. Each statement that goes through it runs twice: under
// EXPLAIN (ANALYZE, BUFFERS) in a transaction that is rolled back, and then for
// good. It counts shared buffers only, hit or read, of the execution and not of the planning.
//
// It is for tests: a statement that writes takes locks twice, and draws from sequences twice.
package explain
