package sqlfile

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/bbmd-dev/bbmd/registry"
)

// statements reads the statements of a section.
func (p *parser) statements(s section) error {
	body := p.text[s.Start:s.End]
	spans, err := registry.SplitStatements(body)
	if err != nil {
		return p.shift(err, s.Start)
	}
	if len(spans) == 0 {
		return p.fail(s.heading, fmt.Sprintf("section %q is empty", s.name), "write a statement, such as UPDATE t SET a = b WHERE :range;")
	}
	for _, span := range spans {
		read, err := p.statement(registry.Span{Start: s.Start + span.Start, End: s.Start + span.End})
		if err != nil {
			return err
		}
		if s.name == sectionRun {
			p.file.run = append(p.file.run, read)
			continue
		}
		if p.file.verify != nil {
			return p.fail(s.Start+span.Start, "a second statement in the section \"verify\"", "write one query, which adds up what others would have counted")
		}
		if err := p.query(read, s.Start+span.Start); err != nil {
			return err
		}
		p.file.verify = &read
	}
	return nil
}

// statement reads one statement of the file.
func (p *parser) statement(span registry.Span) (statement, error) {
	text := p.text[span.Start:span.End]
	found, err := registry.Placeholders(text)
	if err != nil {
		return statement{}, p.shift(err, span.Start)
	}
	line, _ := p.position(span.Start)
	read := statement{text: text, line: line}
	for _, placeholder := range found {
		switch {
		case slices.Contains(reserved, placeholder.Name):
		case p.file.declares(placeholder.Name) && placeholder.Subscript:
			return statement{}, p.fail(span.Start+placeholder.Start, ":"+placeholder.Name+" directly inside of [ ] may also be a slice's bound",
				"write (:"+placeholder.Name+") for the parameter, or a space after the colon for the slice")
		case p.file.declares(placeholder.Name):
			read.slots = append(read.slots, slot{placeholder.Span, placeholder.Name})
		case !placeholder.Subscript:
			return statement{}, p.unknown(span.Start, placeholder)
		}
	}
	if _, err := registry.ParseStatement(read.sketch()); err != nil {
		return statement{}, p.shift(err, span.Start)
	}
	return read, nil
}

// unknown refuses a placeholder that nobody has declared.
func (p *parser) unknown(start int, placeholder registry.Placeholder) error {
	names := slices.Clone(reserved)
	for _, parameter := range p.file.Parameters {
		names = append(names, parameter.Name)
	}
	return p.fail(start+placeholder.Start, fmt.Sprintf("unknown placeholder :%s%s", clip(placeholder.Name), registry.Suggestion(placeholder.Name, names)),
		fmt.Sprintf("declare it in the header, \"-- bbmd: param %s text\"; put a space after a colon that is not a placeholder's", clip(placeholder.Name)))
}

// query refuses a verification that is not a query; that it only reads,
// PostgreSQL sees to, since it stands inside of a SELECT.
func (p *parser) query(s statement, start int) error {
	word := strings.ToUpper(s.text[:min(len(s.text), len("SELECT"))])
	if word == "SELECT" || strings.HasPrefix(word, "WITH") || strings.HasPrefix(word, "(") {
		return nil
	}
	return p.fail(start, "the verification is not a query", "write SELECT count(*) FROM … WHERE :range AND …, for the rows that are wrong")
}

// sketch returns the statement with something of the same length in place of
// each parameter, so that positions in it are the statement's own.
func (s statement) sketch() string {
	return s.replace(func(at slot) string { return "0" + strings.Repeat(" ", at.End-at.Start-1) })
}

// fill returns the statement with constants in place of the parameters.
func (s statement) fill(constants map[string]string) string {
	return s.replace(func(at slot) string { return constants[at.name] })
}

func (s statement) replace(with func(slot) string) string {
	var out strings.Builder
	done := 0
	for _, at := range s.slots {
		out.WriteString(s.text[done:at.Start])
		out.WriteString(with(at))
		done = at.End
	}
	out.WriteString(s.text[done:])
	return out.String()
}

// shift turns an error about a piece of the file, from offset on, into one
// about the file.
func (p *parser) shift(err error, offset int) error {
	e, ok := errors.AsType[*registry.StatementError](err)
	if !ok {
		return err
	}
	line, column := p.position(offset)
	shifted := *e
	if shifted.Line == 1 {
		shifted.Column += column - 1
	}
	shifted.Line += line - 1
	return &shifted
}
