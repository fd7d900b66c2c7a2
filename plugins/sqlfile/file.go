package sqlfile

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/bbmd-dev/bbmd/registry"
)

// File is a file of SQL that was understood.
type File struct {
	Name       string      // of the Work
	Version    int         // of the Work, from 1
	Summary    string      // may be empty
	Table      string      // that the statements are about, as written
	Parameters []Parameter // in the order of the header

	run    []statement
	verify *statement // nil: there is nothing to verify
}

// statement is one statement of a section.
type statement struct {
	text  string
	slots []slot
	line  int // of the file
}

// slot is a parameter's place in a statement.
type slot struct {
	registry.Span
	name string
}

// Parse reads the content of a file. Errors about a place in it are of type
// [*registry.StatementError], whose line is the file's.
func Parse(content []byte) (*File, error) {
	text := strings.TrimPrefix(string(content), "\uFEFF")
	if !utf8.ValidString(text) {
		return nil, errors.New("the file is not UTF-8: save it as UTF-8")
	}
	if strings.ContainsRune(text, 0) {
		return nil, errors.New("the file has a zero byte: it is not text")
	}
	p := parser{text: text, file: &File{Version: 1}, seen: map[string]bool{}}
	if err := p.lines(); err != nil {
		return nil, err
	}
	if err := p.complete(); err != nil {
		return nil, err
	}
	return p.file, nil
}

// parser reads one file.
type parser struct {
	text     string
	file     *File
	seen     map[string]bool // keys of the header
	sections []section
}

// section is a part of the file, by name.
type section struct {
	name    string
	heading int // offset of its directive
	registry.Span
}

// lines reads the directives and finds the sections.
func (p *parser) lines() error {
	for at := 0; at < len(p.text); {
		end := len(p.text)
		if i := strings.IndexByte(p.text[at:], '\n'); i >= 0 {
			end = at + i + 1
		}
		if err := p.line(at, end); err != nil {
			return err
		}
		at = end
	}
	return nil
}

// line reads one line, the half-open range of bytes [at, end).
func (p *parser) line(at, end int) error {
	trimmed := strings.TrimSpace(p.text[at:end])
	at += strings.Index(p.text[at:end], trimmed)
	comment, isComment := strings.CutPrefix(trimmed, "--")
	comment = strings.TrimSpace(comment)
	body, isDirective := strings.CutPrefix(comment, "bbmd:")
	open := len(p.sections) - 1
	switch {
	case isComment && isDirective:
		return p.directive(at, end, strings.TrimSpace(body))
	case isComment && (comment == "bbmd" || strings.HasPrefix(comment, "bbmd ")):
		return p.fail(at, "comment that looks like a line of the header", `write "-- bbmd:" with its colon`)
	case open >= 0:
		p.sections[open].End = end
		return nil
	case trimmed != "" && !isComment:
		return p.fail(at, "text before the first section", `write "-- bbmd: section run" before the statements; the header itself is comments that begin with --`)
	}
	return nil
}

// directive reads what follows "-- bbmd:".
func (p *parser) directive(at, end int, body string) error {
	key, value, _ := strings.Cut(body, " ")
	value = strings.TrimSpace(value)
	known := []string{"format", "work", "version", "summary", "table", "param", "section"}
	switch {
	case key == "section":
		return p.section(at, end, value)
	case len(p.sections) > 0:
		return p.fail(at, fmt.Sprintf("%q in a section", clip(key)), "write the header before the first section")
	case p.seen[key] && key != "param":
		return p.fail(at, fmt.Sprintf("%q for the second time", key), "leave one")
	}
	p.seen[key] = true
	var fix string
	switch key {
	case "format":
		fix = p.format(value)
	case "work":
		p.file.Name, fix = value, checkName(value)
	case "version":
		fix = p.version(value)
	case "summary":
		p.file.Summary, fix = value, requireValue(value, "one sentence on what the Work does")
	case "table":
		p.file.Table, fix = value, requireValue(value, "the table, as in public.users")
	case "param":
		return p.parameter(at, value)
	default:
		return p.fail(at, fmt.Sprintf("unknown line %q%s", clip(key), registry.Suggestion(key, known)),
			"the header knows "+strings.Join(known, ", ")+"; a newer bbmd may know more")
	}
	if fix != "" {
		return p.fail(at, fmt.Sprintf("%s is %q", key, clip(value)), fix)
	}
	return nil
}

func (p *parser) section(at, end int, name string) error {
	name, _, _ = strings.Cut(name, "--") // a remark
	name = strings.TrimSpace(name)
	if name != sectionRun && name != sectionVerify {
		return p.fail(at, fmt.Sprintf("unknown section %q%s", clip(name), registry.Suggestion(name, []string{sectionRun, sectionVerify})),
			"the sections are run and verify")
	}
	for _, s := range p.sections {
		if s.name == name {
			return p.fail(at, fmt.Sprintf("section %q for the second time", name), "put its statements into the first one")
		}
	}
	p.sections = append(p.sections, section{name: name, heading: at, Span: registry.Span{Start: end, End: end}})
	return nil
}

const (
	sectionRun    = "run"
	sectionVerify = "verify"
)

// complete reads the sections, and refuses a file in which something is missing.
func (p *parser) complete() error {
	for _, key := range []struct{ name, example string }{
		{"work", "-- bbmd: work normalize_email"}, {"table", "-- bbmd: table public.users"},
	} {
		if !p.seen[key.name] {
			return p.fail(0, "no "+key.name+" in the header", fmt.Sprintf("write %q", key.example))
		}
	}
	for _, s := range p.sections {
		if err := p.statements(s); err != nil {
			return err
		}
	}
	if len(p.file.run) == 0 && !p.has(sectionRun) {
		return p.fail(len(p.text), `no section "run"`, `write "-- bbmd: section run", and below it the statements of a batch`)
	}
	return nil
}

func (p *parser) has(name string) bool {
	for _, s := range p.sections {
		if s.name == name {
			return true
		}
	}
	return false
}

// fail returns the error for the byte at offset of the file.
func (p *parser) fail(offset int, reason, fix string) error {
	line, column := p.position(offset)
	return &registry.StatementError{Line: line, Column: column, Reason: reason, Fix: fix}
}

// position returns the line and the column of a byte, counted from 1.
func (p *parser) position(offset int) (line, column int) {
	before := p.text[:offset]
	return 1 + strings.Count(before, "\n"), 1 + utf8.RuneCountInString(before[strings.LastIndexByte(before, '\n')+1:])
}

// clip shortens a piece of the file for an error.
func clip(s string) string {
	const limit = 40
	if len(s) <= limit {
		return s
	}
	return strings.ToValidUTF8(s[:limit], "") + "…"
}
