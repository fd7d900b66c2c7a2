package main

import (
	"io"
	"time"
)

// What the tests of the doctor look at from inside.
var (
	JudgeTimeouts = judgeTimeouts
	JudgeSkew     = judgeSkew
	JudgeSlot     = judgeSlot

	KindOfConnection = kindOfConnection
	ConnectHint      = connectHint
)

// Finding is one line of the doctor's report.
type Finding = finding

// PrintFindings prints a report, and returns the exit code.
func PrintFindings(out io.Writer, findings []Finding, asJSON bool) (int, error) {
	a := newApp(out, out)
	code := exitCode(diagnosis(findings))
	if asJSON {
		return code, a.printJSON(findings)
	}
	return code, a.printFindings(findings)
}

// JudgeVolume says what so many bytes mean that are free.
func JudgeVolume(free, size, needed int64) (string, error) {
	return judgeVolume(volume{free: free, size: size}, needed)
}

// SameServer makes sure that a data directory is that of a server.
func SameServer(dir string, started time.Time) error { return sameServer(dir, started.Unix()) }
