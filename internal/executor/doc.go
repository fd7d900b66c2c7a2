// Package executor runs background migrations: it reconciles what the control
// schema says with what this process does, and its workers process batches.
//
// An event sets the wake flag; the executor scans once, takes over the jobs of
// dead owners, and gives its free workers to what may run. A worker holds one
// session, claims blocks of jobs, and runs each job as one transaction in which
// the Work's writes and the job's "finished" commit together or not at all.
//
// It guarantees, under the death of any process at any point: a row in range is
// processed by exactly one committed batch; the jobs of a finished migration
// tile its range; a batch that kills its worker is counted; no job is lost, and
// somebody is awake for it. Safety is the fence in the batch's own transaction
// and nothing else; tiling is the ordinal of the chain; liveness is a session's
// advisory lock, whose loss costs repeated work at most.
//
// It sends no statement while nothing may run. It refuses tables without a
// unique key, keys that may be NULL, and a table that was replaced.
package executor
