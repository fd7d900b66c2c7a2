package status

import (
	"fmt"
	"strings"

	"github.com/bbmd-dev/bbmd/internal/control"
	"github.com/bbmd-dev/bbmd/internal/terminal"
)

// Unattended is what a list says when migrations wait and no daemon is there.
const Unattended = "no bbmd daemon has a session on this database: `bbmd run` starts one"

// styleOf returns the color of a status.
func styleOf(status string) terminal.Style {
	switch status {
	case control.StatusRunning:
		return terminal.Cyan
	case control.StatusPaused:
		return terminal.Yellow
	case control.StatusFinished:
		return terminal.Green
	case control.StatusFailed:
		return terminal.Red
	case control.StatusActive:
		return terminal.Blue
	default:
		return terminal.Dim
	}
}

// Reason returns why a migration does not move, or "".
func Reason(p *control.Progress) string {
	switch {
	case p.Status == control.StatusFailed && p.Error != nil:
		return withState(p.SQLState, *p.Error)
	case p.Reason != nil:
		return *p.Reason
	default:
		return ""
	}
}

// withState returns a message with its SQLSTATE, where there is one that it does not name.
func withState(state *string, message string) string {
	if state == nil || *state == "" || strings.Contains(message, "SQLSTATE "+*state) {
		return message
	}
	return message + " (SQLSTATE " + *state + ")"
}

// quarantine says what one does about rows that were set aside.
func quarantine(p *control.Progress) string {
	rows := "1 row was"
	if p.Quarantined != 1 {
		rows = terminal.Count(p.Quarantined) + " rows were"
	}
	name := strings.ReplaceAll(p.Name, "'", "''")
	return rows + " set aside, failing also alone: see bbm.quarantine, mend the cause, then SELECT bbm.retry_quarantined('" + name + "')"
}

// trouble describes a job that failed or is tried again.
func trouble(j *control.JobState) string {
	message := "no error was recorded"
	if j.Error != nil {
		message = errorOf(j)
	}
	return fmt.Sprintf("job %d, %s, %s: %s", j.ID, keysOf(j), outcome(j), message)
}

// errorOf returns the error that a job has, and whose it is.
func errorOf(j *control.JobState) string {
	message := withState(j.SQLState, *j.Error)
	if j.Untried() {
		return "it is half of a batch that failed: " + message
	}
	return message
}

// keysOf describes a job's range.
func keysOf(j *control.JobState) string {
	if j.After == nil {
		return "keys up to " + j.Max
	}
	return "keys after " + *j.After + " up to " + j.Max
}

// outcome describes what has become of a job so far.
func outcome(j *control.JobState) string {
	switch {
	case j.Status == "failed":
		return "failed " + times(int64(j.Attempts))
	case j.Untried():
		return "not tried yet"
	case j.Status == "pending" && j.SecondsUntilNextAttempt != nil && *j.SecondsUntilNextAttempt > 0:
		return "is tried again in " + terminal.Seconds(*j.SecondsUntilNextAttempt)
	case j.Status == "pending":
		return "waits for a worker"
	default:
		return j.Status
	}
}

func times(n int64) string {
	switch n {
	case 1:
		return "once"
	case 2:
		return "twice"
	default:
		return terminal.Count(n) + " times"
	}
}

func styleOfJob(j *control.JobState) terminal.Style {
	if j.Status == "failed" {
		return terminal.Red
	}
	return terminal.Yellow
}

// left describes how much time a migration takes, or has taken, or why that cannot be said.
func left(p *control.Progress) string {
	switch {
	case p.Status == control.StatusFinished && p.SecondsElapsed != nil:
		return "took " + terminal.Seconds(*p.SecondsElapsed)
	case p.Pace == control.PaceVerifying || p.Pace == control.PaceRetrying:
		return string(p.Pace)
	case p.Pace == control.PaceMeasuring:
		return "no rate yet"
	case p.Pace != control.PaceMoving:
		return ""
	case p.SecondsLeft == nil:
		return "no estimate"
	case *p.SecondsLeft < 1:
		return "<1s left"
	default:
		return terminal.Seconds(*p.SecondsLeft) + " left"
	}
}

// age describes for how many minutes a migration has not been let run; its reason goes beside it.
func age(p *control.Progress) string {
	if p.Pace != control.PacePaused && p.Pace != control.PaceWaiting || p.SecondsSince < 60 {
		return ""
	}
	return "for " + terminal.Seconds(p.SecondsSince)
}

// slowed says how the throttle slows batches that go on.
func slowed(p *control.Progress) string {
	if p.Throttled == nil || p.Over() || p.Pace != control.PaceMoving && p.Pace != control.PaceMeasuring {
		return ""
	}
	return "throttled: " + *p.Throttled
}

func rate(p *control.Progress) string {
	if p.Status != control.StatusRunning || p.KeysPerSecond == nil {
		return ""
	}
	return terminal.Rate(*p.KeysPerSecond)
}

func percent(p *control.Progress) string {
	if p.Total == nil && p.Status != control.StatusFinished {
		return "" // not started
	}
	return terminal.Percent(p.Percent)
}

// size describes the batches of a migration that runs: how many keys they have, and what nine
// of ten of them do not exceed.
func size(p *control.Progress) string {
	if p.Status != control.StatusRunning || p.CurrentBatchSize == nil {
		return ""
	}
	text := terminal.Count(int64(*p.CurrentBatchSize)) + " a batch"
	if p.P90Milliseconds != nil {
		text += ", " + terminal.Seconds(*p.P90Milliseconds/1000)
	}
	return text
}

// rows describes how many rows are behind the migration, and of how many.
func rows(p *control.Progress) string {
	if p.StartedAt == nil {
		return ""
	}
	if p.Total == nil || *p.Total <= p.Keys || p.Status == control.StatusFinished {
		return terminal.Count(p.Keys)
	}
	return terminal.Count(p.Keys) + " of ~" + terminal.Count(*p.Total)
}
