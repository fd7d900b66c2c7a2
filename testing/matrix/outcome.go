package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"
)

// event is one of `go test -json`.
type event struct {
	Action, Package, ImportPath, Test, Output string
}

// name is a test's, with its package.
type name struct{ pkg, test string }

// outcome is what became of the tests on one version.
type outcome struct {
	out    io.Writer
	began  time.Time
	output map[name]*strings.Builder // of what has not ended
	left   map[name][]string         // which tests of a package were not run, by the reason in test

	passed, failed, skipped, packages, broken int
}

func newOutcome(out io.Writer) *outcome {
	return &outcome{out: out, began: time.Now(), output: map[name]*strings.Builder{}, left: map[name][]string{}}
}

// read takes in the events, shows the packages as they end, and what failing tests printed.
func (o *outcome) read(events io.Reader) error {
	decoder := json.NewDecoder(events)
	for {
		var e event
		switch err := decoder.Decode(&e); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			// Whoever prints must not wait for a reader that is gone.
			_, _ = io.Copy(o.out, io.MultiReader(decoder.Buffered(), events))
			return fmt.Errorf("read what go test prints: %w", err)
		}
		o.take(e)
	}
}

func (o *outcome) take(e event) {
	test := name{e.Package, e.Test}
	switch e.Action {
	case "build-output":
		fmt.Fprint(o.out, e.Output)
	case "output":
		if o.output[test] == nil {
			o.output[test] = &strings.Builder{}
		}
		_, _ = o.output[test].WriteString(e.Output) // which never fails
	case "pass", "fail", "skip":
		printed := ""
		if text := o.output[test]; text != nil {
			printed = text.String()
		}
		delete(o.output, test)
		o.end(e, printed)
	}
}

// end counts a test or a package that has ended.
func (o *outcome) end(e event, printed string) {
	switch {
	case e.Test == "":
		if e.Action != "skip" { // it has no tests
			o.packages++
		}
		if e.Action == "fail" {
			o.broken++
		}
		fmt.Fprint(o.out, lastLine(printed))
	case e.Action == "pass":
		o.passed++
	case e.Action == "fail":
		o.failed++
		fmt.Fprint(o.out, printed)
	default:
		o.skipped++
		why := name{e.Package, reason(printed)}
		o.left[why] = append(o.left[why], e.Test)
	}
}

// line tells what became of everything, and whether that is good. Where go test says that it failed, it has.
func (o *outcome) line(version string, err error) (string, bool) {
	good, word := err == nil && o.failed == 0 && o.broken == 0 && o.passed > 0, "ok  "
	if !good {
		word = "FAIL"
	}
	took := time.Since(o.began).Round(time.Second)
	return fmt.Sprintf("%s PostgreSQL %-6s %6s: %d packages, %d of them failed; tests: %d passed, %d failed, %d not run",
		word, version, took, o.packages, o.broken, o.passed, o.failed, o.skipped), good
}

// notRun lists what was left out, by reason.
func (o *outcome) notRun() (lines []string) {
	whys := slices.SortedFunc(maps.Keys(o.left), func(a, b name) int { return strings.Compare(a.pkg+a.test, b.pkg+b.test) })
	for _, why := range whys {
		lines = append(lines, fmt.Sprintf("%s: %s (%s)", why.pkg, strings.Join(o.left[why], " "), why.test))
	}
	return lines
}

// reason is what a test said when it was skipped.
func reason(printed string) string {
	var said []string
	for line := range strings.Lines(printed) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "=== ") && !strings.HasPrefix(line, "--- ") {
			if _, place, inFile := strings.Cut(line, ".go:"); inFile {
				_, line, _ = strings.Cut(place, ": ")
			}
			said = append(said, line)
		}
	}
	return strings.Join(said, "; ")
}

// lastLine is what go test says of a package, such as how long it took.
func lastLine(printed string) string {
	lines := strings.SplitAfter(strings.TrimRight(printed, "\n"), "\n")
	if last := lines[len(lines)-1]; last != "" {
		return last + "\n"
	}
	return ""
}
