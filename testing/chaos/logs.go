package chaos

import (
	"bytes"
	"encoding/json"
	"os"
	"slices"
	"strings"
	"time"
)

// record is a line of a daemon's log, as far as it matters.
type record struct {
	Time    time.Time `json:"time"`
	Level   string    `json:"level"`
	Message string    `json:"msg"`
	Job     int64     `json:"job"`
	Error   string    `json:"error"`
	line    string
}

// Messages of the executor whose records have to agree with the database.
const (
	batchFailed     = "batch failed"
	migrationFailed = "migration failed"
)

// lossWindow is how far behind the log a crash of the server may leave a
// record that was committed asynchronously, on a busy machine.
const lossWindow = 3 * time.Second

// compareLog checks that a daemon said nothing that should not happen, and that
// every failure it logged is on record in the database too.
func (r *run) compareLog(daemon *replica) {
	r.tb.Helper()
	for _, line := range daemon.logLines() {
		var said record
		if err := json.Unmarshal([]byte(line), &said); err != nil {
			r.tb.Errorf("%s wrote what is no record: %s", daemon.name, line)
			continue
		}
		said.line = line
		switch {
		case said.Message == batchFailed:
			r.onJob(daemon, said)
		case said.Message == migrationFailed:
			r.onMigration(daemon, said)
		case said.Level == "ERROR" && strings.Contains(said.Error, "hot standby"):
			// Its address leads to the standby before that is promoted.
		case said.Level == "ERROR":
			r.tb.Errorf("%s logged an error that no fault explains: %s", daemon.name, line)
		case strings.Contains(line, "SQLSTATE 23505") || strings.Contains(line, "duplicate key"):
			r.tb.Errorf("%s met another on the same place of the chain: %s", daemon.name, line)
		}
	}
}

// onJob looks for a logged failure in the history of its job.
func (r *run) onJob(daemon *replica, said record) {
	r.tb.Helper()
	var recorded bool
	r.watch.row([]any{&recorded}, "SELECT EXISTS (SELECT FROM invariants.job_events WHERE job = $1 AND error_message = $2)", said.Job, said.Error)
	switch {
	case recorded:
	case r.World && strings.Contains(said.Error, noSpace): // nor had the row of the job
		r.figures.unrecorded++
	case slices.ContainsFunc(r.crashes, func(at time.Time) bool { return at.After(said.Time) && at.Before(said.Time.Add(lossWindow)) }):
		r.figures.unrecorded++
	default:
		r.tb.Errorf("I6 (nothing hidden) violated: %s logged a failure that is not on the row of its job: %s", daemon.name, said.line)
	}
}

// onMigration looks for a logged failure in the audit.
func (r *run) onMigration(daemon *replica, said record) {
	r.tb.Helper()
	var recorded bool
	r.watch.row([]any{&recorded}, "SELECT EXISTS (SELECT FROM bbm.transitions WHERE to_status = 'failed' AND reason = $1)", said.Error)
	if !recorded {
		r.tb.Errorf("I6 (nothing hidden) violated: %s logged a failure that is not in the audit: %s", daemon.name, said.line)
	}
}

// logLines returns what the daemon has written.
func (r *replica) logLines() []string {
	r.tb.Helper()
	content, err := os.ReadFile(r.logPath)
	if err != nil {
		r.tb.Fatal(err)
	}
	return strings.Split(string(bytes.TrimSpace(content)), "\n")
}

// logTail returns the last lines, and the stacks that [replica.dump] has asked for.
func (r *replica) logTail(lines int) string {
	content, err := os.ReadFile(r.logPath)
	if err != nil {
		return err.Error()
	}
	said, stacks, _ := strings.Cut(string(content), "SIGQUIT: quit")
	all := strings.Split(strings.TrimSpace(said), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n") + "\n" + stacks
}
