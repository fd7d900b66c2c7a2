// Package bench measures bbmd against bare PostgreSQL, on a private server, and
// says for each figure whether it reaches its target.
//
// Every figure is a ratio between two things that were measured in the same run,
// in turns: throughput against a client's bare loop of UPDATEs, the way of an event
// against a bare NOTIFY, the claim beside many finished jobs against the claim
// beside few. Throughput is measured slice by slice: in each round every variant, in
// random order, gets a slice of rows of its own that nobody has touched yet. The
// loop runs under two names, and how far the two lie apart (A/A) is the noise of
// the round; a line is void when that is too much to say anything.
//
// What is timed is the whole migration, from the event that wakes the executor to the
// migration's "finished", start-up and bookkeeping included. After each pass every
// row must have been changed exactly once and the jobs must tile their ranges in
// batches of the size that was asked for, so that a variant which is fast and wrong
// fails instead of winning.
//
// What a backfill does to others is measured by transactions that come at a fixed rate, each
// one's time counted from when it was due, with a throttled backfill beside them, an
// unthrottled one, and none, twice. What gaps between keys cost is measured by tables with the same number of rows, and what a plugin costs by the same Work as a
// plugin of each kind and compiled in.
//
// Others that do similar things are measured in the same run, on the same server: River, goose, golang-migrate, and a
// worker that polls as the GitLab container registry's does. Those that bbmd does not need itself are a program of
// their own (testing/bench/peers), which says how each is set up and times what it does; the report repeats that. A
// worker that sleeps for minutes is measured by a clock that skips its sleeps and counts them. Where another is better, the report says so.
//
// On a machine that is busy with other things, `chrt --rr 1 make bench-quick` lets
// nobody in between; the report says so.
//
// It reports no absolute figure as a result: rows per second are the machine's.
package bench
