package history

import (
	"fmt"
	"slices"
	"strings"
)

// gooseSection is where goose's own reader is in a file.
type gooseSection int

const (
	beforeUp gooseSection = iota
	inUp
	inUpStatement    // after StatementBegin
	afterUpStatement // after StatementEnd, until the next line that counts
	inDown
	inDownStatement
	afterDownStatement
)

// down reports whether the section belongs to the way down.
func (s gooseSection) down() bool { return s >= inDown }

// inside reports whether a statement of StatementBegin is open.
func (s gooseSection) inside() bool { return s == inUpStatement || s == inDownStatement }

// after reports whether a statement of StatementBegin has just been closed.
func (s gooseSection) after() bool { return s == afterUpStatement || s == afterDownStatement }

// longestLine is how long a line must not be, in bytes, for goose to read it.
const longestLine = 4 << 20

// parseGooseSQL follows goose's reader through a file and reports whether its
// statements run in a transaction. goose reads a file when it is about to run
// it, and that is late to hear of a mistake: what it refuses then is refused
// here, with the line.
func parseGooseSQL(file, source string) (transactional bool, err error) {
	for _, down := range []bool{false, true} { // goose, too, reads it once for each way
		r := gooseReader{file: file, down: down}
		if err := r.readAll(source); err != nil {
			return false, err
		}
		transactional = !r.noTransaction
	}
	return transactional, nil
}

// gooseReader is goose's state machine for one way, without the statements.
type gooseReader struct {
	file    string
	down    bool
	line    int
	section gooseSection
	// pending says that goose has kept something of an unfinished statement,
	// begun is the line where its text began: 0 while it is all white space.
	pending bool
	begun   int
	// substitutes: variables may put semicolons where the file has none.
	substitutes   bool
	noTransaction bool
}

func (r *gooseReader) readAll(source string) error {
	for line := range strings.Lines(source) {
		r.line++
		line = strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "\r")
		if len(line) >= longestLine {
			return r.faultf("the line is longer than the 4 MB that goose reads")
		}
		if err := r.read(line); err != nil {
			return err
		}
	}
	switch {
	case r.section == beforeUp:
		return fmt.Errorf("%s: it has no line -- +goose Up, with which a file of goose's begins", r.file)
	case r.section.inside():
		return fmt.Errorf("%s: a -- +goose StatementBegin has no StatementEnd", r.file)
	}
	return r.finished()
}

func (r *gooseReader) faultf(format string, args ...any) error {
	return faultf(r.file, r.line, format, args...)
}

// finished refuses a statement that has no end.
func (r *gooseReader) finished() error {
	if r.begun == 0 || r.substitutes {
		return nil
	}
	return faultf(r.file, r.begun, "the statement that begins here has no semicolon at the end of a line")
}

func (r *gooseReader) read(line string) error {
	trimmed := strings.TrimSpace(line)
	if r.section == beforeUp && trimmed == "" {
		return nil
	}
	isComment := strings.HasPrefix(trimmed, "--")
	if isComment && strings.Contains(line, "+goose") {
		if err := r.annotation(line); err != nil || !r.section.after() {
			return err
		}
	}
	if !r.pending && (isComment || line == "") {
		return nil
	}
	switch {
	case r.section == beforeUp && strings.HasPrefix(line, "\ufeff"):
		return r.faultf("the file begins with a byte order mark, which goose cannot read: save it as UTF-8 without one")
	case r.section == beforeUp:
		return r.faultf("this stands before -- +goose Up, with which a file of goose's begins")
	case r.section.down() != r.down:
		r.pending, r.begun = false, 0
	case r.section.after() && !r.pending && trimmed != "":
		return r.faultf("goose passes over this line, as there is nothing between StatementBegin and StatementEnd above it")
	default:
		r.keep(line, trimmed)
	}
	return nil
}

// keep takes a line of a statement, and the end of one where the line has it.
func (r *gooseReader) keep(line, trimmed string) {
	if !r.section.after() {
		r.pending = true
		if r.begun == 0 && trimmed != "" {
			r.begun = r.line
		}
	}
	if r.section.after() || !r.section.inside() && endsStatement(line) {
		r.pending, r.begun = false, 0
	}
	switch r.section {
	case afterUpStatement:
		r.section = inUp
	case afterDownStatement:
		r.section = inDown
	default:
	}
}

// endsStatement reports whether the last word before a comment ends with a
// semicolon.
func endsStatement(line string) bool {
	last := ""
	for word := range strings.FieldsSeq(line) {
		if strings.HasPrefix(word, "--") {
			break
		}
		last = word
	}
	return strings.HasSuffix(last, ";")
}

func (r *gooseReader) annotation(line string) error {
	if line[0] == ' ' || line[0] == '\t' {
		return r.faultf("goose refuses an annotation that is indented")
	}
	name := strings.TrimSpace(strings.Replace(strings.ReplaceAll(line, "--", ""), "+goose", "", 1))
	known := []string{"Up", "Down", "StatementBegin", "StatementEnd", "NO TRANSACTION", "ENVSUB ON", "ENVSUB OFF"}
	i := slices.IndexFunc(known, func(k string) bool { return strings.EqualFold(k, name) })
	if i < 0 {
		return r.faultf("goose has no annotation %q: it has %s", name, strings.Join(known, ", "))
	}
	return r.obey(known[i])
}

func (r *gooseReader) obey(annotation string) error {
	switch annotation {
	case "Up":
		return r.enter(inUp, r.section == beforeUp, "it is the second -- +goose Up")
	case "Down":
		if err := r.finished(); err != nil && (r.section == inUp || r.section == afterUpStatement) {
			return err
		}
		return r.enter(inDown, r.section == inUp || r.section == afterUpStatement, "-- +goose Down stands once, after -- +goose Up and its statements")
	case "StatementBegin":
		into := inUpStatement
		if r.section.down() {
			into = inDownStatement
		}
		return r.enter(into, r.section != beforeUp && !r.section.inside(), "-- +goose StatementBegin stands after -- +goose Up or Down, and not within another")
	case "StatementEnd":
		into := afterUpStatement
		if r.section.down() {
			into = afterDownStatement
		}
		return r.enter(into, r.section.inside(), "-- +goose StatementEnd has no StatementBegin")
	case "NO TRANSACTION":
		r.noTransaction = true
		return nil
	case "ENVSUB ON":
		r.substitutes = true
		return nil
	default: // ENVSUB OFF
		return nil
	}
}

func (r *gooseReader) enter(section gooseSection, allowed bool, otherwise string) error {
	if !allowed {
		return r.faultf("%s", otherwise)
	}
	r.section = section
	return nil
}
