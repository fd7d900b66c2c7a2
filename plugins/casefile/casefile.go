package casefile

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/bbmd-dev/bbmd/registry"
)

// Case is what a file says.
type Case struct {
	Work      string   // its name. Empty: the only one that the plugin has
	Table     string   // of the migration, as written
	Columns   []string // of the key. Empty: those of the primary key
	Arguments string   // a JSON object
	Refused   []string // arguments that the Work must not accept
	Volatile  []string // columns that differ from run to run
	Once      bool     // a second run may change rows again
	Alone     bool     // batches do not run side by side
	Setup     string   // SQL that makes and fills the table
	Wrong     []string // queries that have to return no row in the end. At least one
}

// MaxSize is how many bytes a file may have.
const MaxSize = 1 << 20

// The sections of a file.
const (
	sectionSetup = "setup"
	sectionWrong = "wrong"
)

// Parse reads the content of a file. Its errors are of type [*registry.StatementError].
func Parse(content []byte) (Case, error) {
	p := parser{made: Case{Arguments: "{}"}, seen: map[string]bool{}}
	if len(content) > MaxSize || !utf8.Valid(content) {
		return p.made, p.fail("the file is not text of at most 1 MiB", "save it as UTF-8, and let the setup generate rows")
	}
	for line := range strings.Lines(strings.TrimPrefix(string(content), "\uFEFF")) {
		p.number++
		if err := p.line(line); err != nil {
			return p.made, err
		}
	}
	return p.made, p.complete()
}

// parser reads one file.
type parser struct {
	made    Case
	number  int // of the line
	seen    map[string]bool
	section string
	setup   strings.Builder
	wrong   []string
}

func (p *parser) fail(reason, fix string) error {
	return &registry.StatementError{Line: max(p.number, 1), Column: 1, Reason: reason, Fix: fix}
}

// line reads one line.
func (p *parser) line(text string) error {
	trimmed := strings.TrimSpace(text)
	comment, isComment := strings.CutPrefix(trimmed, "--")
	body, isDirective := strings.CutPrefix(strings.TrimSpace(comment), "bbmd:")
	switch {
	case isComment && isDirective:
		key, value, _ := strings.Cut(strings.TrimSpace(body), " ")
		return p.directive(key, strings.TrimSpace(value))
	case p.section == sectionSetup:
		p.setup.WriteString(text)
	case p.section == sectionWrong:
		p.wrong[len(p.wrong)-1] += text
	case trimmed != "" && !isComment:
		return p.fail("text before the first section", `write "-- bbmd: section setup" before the statements`)
	}
	return nil
}

func (p *parser) directive(key, value string) error {
	repeated := key == "refused" || key == "volatile" || key == "section"
	switch {
	case p.seen[key] && !repeated:
		return p.fail(fmt.Sprintf("%q for the second time", key), "leave one")
	case p.section != "" && key != "section":
		return p.fail(fmt.Sprintf("%q in a section", clip(key)), "write the header before the first section")
	}
	p.seen[key] = true
	switch key {
	case "case":
		p.made.Work = value
	case "table":
		p.made.Table = value
	case "columns":
		for name := range strings.SplitSeq(value, ",") {
			p.made.Columns = append(p.made.Columns, strings.TrimSpace(name))
		}
	case "arguments":
		p.made.Arguments = value
		return p.object(value)
	case "refused":
		p.made.Refused = append(p.made.Refused, value)
	case "volatile":
		p.made.Volatile = append(p.made.Volatile, value)
	case "once":
		p.made.Once = true
	case "alone":
		p.made.Alone = true
	case "section":
		return p.begin(value)
	default:
		known := []string{"case", "table", "columns", "arguments", "refused", "volatile", "once", "alone", "section"}
		return p.fail(fmt.Sprintf("unknown line %q%s", clip(key), registry.Suggestion(key, known)), "the header knows "+strings.Join(known, ", "))
	}
	return nil
}

func (p *parser) object(value string) error {
	var object map[string]json.RawMessage
	if err := json.Unmarshal([]byte(value), &object); err != nil || object == nil {
		return p.fail("arguments are no JSON object", `write them as {"country": "+49"}`)
	}
	return nil
}

func (p *parser) begin(name string) error {
	name, _, _ = strings.Cut(name, "--") // a remark
	switch name = strings.TrimSpace(name); {
	case name == sectionWrong:
		p.wrong = append(p.wrong, "")
	case name != sectionSetup:
		return p.fail(fmt.Sprintf("unknown section %q%s", clip(name), registry.Suggestion(name, []string{sectionSetup, sectionWrong})), "the sections are setup and wrong")
	case p.seen["section setup"]:
		return p.fail("section setup for the second time", "put its statements into the first one")
	default:
		p.seen["section setup"] = true
	}
	p.section = name
	return nil
}

// complete refuses a file in which something is missing.
func (p *parser) complete() error {
	p.made.Setup = strings.TrimSpace(p.setup.String())
	var problems []error
	for _, query := range p.wrong {
		if text := strings.TrimSpace(query); text != "" {
			p.made.Wrong = append(p.made.Wrong, text)
		}
	}
	if p.made.Table == "" {
		problems = append(problems, p.fail("no table in the header", `write "-- bbmd: table public.users"`))
	}
	if p.made.Setup == "" {
		problems = append(problems, p.fail("no section setup", `write "-- bbmd: section setup", and below it what makes and fills the table: at least 12 rows`))
	}
	if len(p.made.Wrong) == 0 {
		problems = append(problems, p.fail("no section wrong", `write "-- bbmd: section wrong", and below it a query that returns no row once all is as it should be`))
	}
	return errors.Join(problems...)
}

// clip shortens a piece of the file for an error.
func clip(s string) string {
	const limit = 40
	if len(s) <= limit {
		return s
	}
	return strings.ToValidUTF8(s[:limit], "") + "…"
}
