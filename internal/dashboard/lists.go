package dashboard

import (
	"strconv"

	"github.com/bbmd-dev/bbmd/internal/control"
)

// itemsOf is a list of a database, for a part of a page.
type itemsOf struct {
	Database string
	Items    any
}

func listOf(database string, items any) itemsOf { return itemsOf{database, items} }

// auditList is a part of the audit, of one migration or of all.
type auditList struct {
	Database string
	All      bool
	Items    []control.AuditEntry
}

func auditOf(database, migration string, items []control.AuditEntry) auditList {
	return auditList{Database: database, All: migration == "", Items: items}
}

// tabs are the jobs that one can look at.
func tabs() []string { return []string{"open", "failed", "pending", "running", "all"} }

// setting is a setting of a migration, for people.
type setting struct {
	Name, Label, Value, Default, Help string
	Number                            bool
}

// settings lists what may be changed while a migration runs.
func settings(k control.KnobsSet) []setting {
	whole := func(n int32) string { return strconv.Itoa(int(n)) }
	float := func(n *float64) string {
		if n == nil {
			return ""
		}
		return strconv.FormatFloat(*n, 'f', -1, 64)
	}
	attempts := ""
	if k.MaxAttempts != nil {
		attempts = whole(*k.MaxAttempts)
	}
	const configured = "as configured"
	return []setting{
		{"parallelism", "Parallelism", whole(k.Parallelism), "", "workers, over all replicas", true},
		{"priority", "Priority", whole(k.Priority), "", "lower runs first", true},
		{"pause_ms", "Rest, ms", float(&k.PauseMillis), "", "after each batch of a worker", true},
		{"target_duration_ms", "Time per batch, ms", float(k.TargetMillis), configured, "0 leaves the size as it is", true},
		{"batch_size", "First batches, keys", whole(k.BatchSize), "", "the time of batches steers it from there", true},
		{"min_batch_size", "Least keys", whole(k.MinBatchSize), "", "of a batch", true},
		{"max_batch_size", "Most keys", whole(k.MaxBatchSize), "", "of a batch", true},
		{"max_attempts", "Attempts", attempts, configured, "of a job before it is split", true},
		{"max_quarantined", "Quarantine, rows", whole(k.MaxQuarantined), "", "one more fails it", true},
		{"throttle", "Throttle", compact(k.Throttle), "as configured", `what differs, as {"duty": 0.3, "windows": ["22:00-06:00 UTC"]}`, false},
	}
}
