// Package pgstandby gives a test a streaming standby of a server that
// pgtest.NewServer has started: a copy of its files, run by
// internal/pgserver, which follows the primary until the test pauses it or
// stops it. It can be promoted, and the old primary made its standby.
//
// It guarantees, as pgtest does, that the standby goes away with its test, and
// with its test process, also when that is killed. It imports nothing else of
// bbmd, and only _test.go files may import it.
package pgstandby
