package await

import (
	"fmt"
	"strings"
	"time"
)

// FailedError says that waiting does not help: a run or a migration has failed, and
// nobody has tried again, or somebody has to decide.
type FailedError struct {
	Database string
	Decide   bool // nothing failed: it was refused, or cancelled
	Failure
}

// Failure is what failed.
type Failure struct {
	Key      string    `json:"key"`           // tells one failure from another
	Run      int64     `json:"run,omitempty"` // in bbm.runs; 0: none
	What     string    `json:"what"`          // the step, the migration, or the state
	Message  string    `json:"message"`       // what the server said
	SQLState string    `json:"sqlstate,omitempty"`
	File     string    `json:"file,omitempty"`
	Line     int32     `json:"line,omitempty"`
	Hint     string    `json:"hint,omitempty"`
	Host     string    `json:"host,omitempty"` // where it ran
	At       time.Time `json:"at,omitzero"`
}

// Error says what, where, why and when: a line for each.
func (e *FailedError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "database %s: %s", e.Database, e.What)
	if e.Message != "" {
		b.WriteString(": " + strings.TrimSpace(e.Message))
	}
	if e.SQLState != "" && !strings.Contains(e.Message, e.SQLState) {
		b.WriteString(" (SQLSTATE " + e.SQLState + ")")
	}
	if e.File != "" && !strings.Contains(e.Message, e.File) {
		fmt.Fprintf(&b, "\nin %s", e.File)
		if e.Line > 0 {
			fmt.Fprintf(&b, ":%d", e.Line)
		}
	}
	if e.Hint != "" && !strings.Contains(e.Message, strings.TrimSuffix(e.Hint, ".")) {
		b.WriteString("\nhint: " + e.Hint)
	}
	if e.Run != 0 {
		fmt.Fprintf(&b, "\nrun %d on %s, at %s", e.Run, e.Host, e.At.UTC().Format(time.RFC3339))
	}
	return b.String()
}

// TimeoutError says that what was waited for did not happen in time.
type TimeoutError struct {
	Database string
	After    time.Duration
	Goals    []Goal
	Says     string // what it was waiting for in the end
	Lost     bool   // there was no connection in the end
}

// Error says what it was waiting for.
func (e *TimeoutError) Error() string {
	return fmt.Sprintf("database %s: still waiting after %v for %s: %s", e.Database, e.After.Round(time.Second), names(e.Goals), e.Says)
}

func names(goals []Goal) string {
	texts := make([]string, 0, len(goals))
	for _, g := range goals {
		texts = append(texts, g.String())
	}
	return strings.Join(texts, ", ")
}
