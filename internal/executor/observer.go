package executor

import "time"

// Observer is told what an executor does. Its methods are called from many
// goroutines and must not block.
type Observer interface {
	// Reconciled is called after every scan with the number of migrations by
	// status, the time the scan took and the time from the wake to the scan's first byte.
	Reconciled(byStatus map[string]int, took, wake time.Duration)
	// ScanFailed is called after every scan that failed.
	ScanFailed()
	// Listed is called after every scan that saw all migrations that are active or running,
	// with their names, which the observer may keep.
	Listed(open []string)
	// Staffed is called after every scan, and when a worker ends, with the number of workers at work and that of
	// workers there may be.
	Staffed(busy, most int)
	// Began is called when workers begin, with the time from the wake that caused it;
	// 0: a timer did.
	Began(workers int, wake time.Duration)
	// Rested is called when a migration has no worker here any more, for now or for good.
	Rested(migration string)
	// Claimed is called after a block claim.
	Claimed(migration string, jobs int, took time.Duration)
	// BatchDone is called when a batch has ended: outcome is "finished",
	// "failed", "transient" or "lost".
	BatchDone(migration, outcome string, rows int64, took time.Duration)
	// SetBack is called when a job that failed is put back, to be tried again.
	SetBack(migration string)
	// Split is called when a job that fails was cut into two halves.
	Split(migration string)
	// Quarantined is called when a row was set aside.
	Quarantined(migration string)
	// TookOver is called when jobs of a dead owner were taken over.
	TookOver(migration string, jobs int64)
	// Counted is called about once a second for every worker that has done something since.
	Counted(migration string, c Count)
	// Progressed is called about once a second for a migration that runs, with the share that is done.
	Progressed(migration string, ratio float64)
	// Throttled is called as often, and when that changes: duty is the share of the
	// time that its batches may take, 1 for all of it, 0 while it is held back, and
	// signal is what decided, as in docs/throttling.md; empty: nothing keeps it back.
	Throttled(migration, signal string, duty float64)
	// MigrationFailed is called when a migration has failed, before MigrationEnded.
	MigrationFailed(f MigrationFailure)
	// MigrationEnded is called when a migration has finished or failed.
	MigrationEnded(migration, status string)
}

// Count is what a worker has done since it was last counted, and how.
type Count struct {
	Keys      int64         // of the batches that were finished
	BatchSize int32         // of the next batch, in keys
	P90       time.Duration // of the latest batches; 0: not known yet
}

// MigrationFailure is why a migration has failed, without anything that could be
// data: no message, and keys only where their types identify rows and say nothing of them.
type MigrationFailure struct {
	Migration string
	Work      string
	Table     string // quoted, with its schema; empty: it was not found
	Code      int    // one of control's Code constants
	SQLState  string // empty: the error did not come from PostgreSQL
	Job       int64  // 0: no job failed it
	Range     string // of the job; empty: there is none, or its keys could be data
}

// NoObserver is told and does nothing. Observers that want a part embed it.
type NoObserver struct{}

var _ Observer = NoObserver{}

// Reconciled does nothing.
func (NoObserver) Reconciled(map[string]int, time.Duration, time.Duration) {}

// ScanFailed does nothing.
func (NoObserver) ScanFailed() {}

// Listed does nothing.
func (NoObserver) Listed([]string) {}

// Staffed does nothing.
func (NoObserver) Staffed(int, int) {}

// Began does nothing.
func (NoObserver) Began(int, time.Duration) {}

// Rested does nothing.
func (NoObserver) Rested(string) {}

// Claimed does nothing.
func (NoObserver) Claimed(string, int, time.Duration) {}

// BatchDone does nothing.
func (NoObserver) BatchDone(string, string, int64, time.Duration) {}

// SetBack does nothing.
func (NoObserver) SetBack(string) {}

// Split does nothing.
func (NoObserver) Split(string) {}

// Quarantined does nothing.
func (NoObserver) Quarantined(string) {}

// TookOver does nothing.
func (NoObserver) TookOver(string, int64) {}

// Counted does nothing.
func (NoObserver) Counted(string, Count) {}

// Progressed does nothing.
func (NoObserver) Progressed(string, float64) {}

// Throttled does nothing.
func (NoObserver) Throttled(string, string, float64) {}

// MigrationFailed does nothing.
func (NoObserver) MigrationFailed(MigrationFailure) {}

// MigrationEnded does nothing.
func (NoObserver) MigrationEnded(string, string) {}
