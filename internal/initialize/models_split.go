package initialize

import (
	"fmt"
	"slices"
	"strings"
)

// statement is one statement of a script.
type statement struct {
	text  string   // without the semicolon
	line  int      // in its file, from 1
	words []string // its first words that are not in quotes, in capitals
	// rows follow a COPY … FROM stdin. They are nil for other statements.
	rows *string
	meta bool // text is a command of psql's
}

// maxWords is how many words of a statement are looked at to tell what it is.
const maxWords = 40

// splitter takes a script apart.
type splitter struct {
	lexer
	line, counted int // line is that of the byte at counted
}

// split takes a script apart into statements, as psql would. The errors are *[StepError]s with a line.
func split(file, text string) ([]statement, error) {
	s := splitter{lexer: lexer{text: text}, line: 1}
	var all []statement
	for {
		one, err := s.statement()
		if err != nil {
			return nil, &StepError{File: file, Line: one.line, Err: err}
		}
		if one.text == "" {
			return all, nil
		}
		all = append(all, one)
	}
}

// statement reads one statement, past its semicolon. Its text is empty at the end of the script.
func (s *splitter) statement() (statement, error) {
	var one statement
	var body body
	start := -1
	for {
		t, err := s.next()
		if err != nil {
			return statement{line: s.lineAt(t.start)}, err
		}
		if start < 0 && (t.kind == tokenMeta || t.kind == tokenEnd) {
			return statement{text: s.text[t.start:t.end], line: s.lineAt(t.start), meta: true}, nil
		}
		if t.kind == tokenOther && s.text[t.start] == ';' && start < 0 {
			continue // an empty one
		}
		if start < 0 {
			start = t.start
			one.line = s.lineAt(start)
		}
		switch {
		case t.kind == tokenWord:
			word := strings.ToUpper(s.text[t.start:t.end])
			if len(one.words) < maxWords {
				one.words = append(one.words, word)
			}
			body.word(one.words, word)
		case t.kind == tokenMeta:
			return statement{line: s.lineAt(t.start)}, fmt.Errorf("%s is a command of psql's in the middle of a statement, and no SQL: take it out", strings.TrimSpace(s.text[t.start:t.end]))
		case t.kind == tokenEnd, t.kind == tokenOther && s.text[t.start] == ';' && body.open == 0 && body.parentheses == 0:
			one.text = strings.TrimRight(s.text[start:t.start], " \t\r\n\f\v")
			one.rows = s.rows(one.words)
			return one, nil
		case t.kind == tokenOther:
			body.punctuation(s.text[t.start])
		}
	}
}

// rows reads what follows a COPY … FROM stdin: lines, until one that is \. .
func (s *splitter) rows(words []string) *string {
	if !copiesIn(words) {
		return nil
	}
	s.skipLine()
	s.pos = min(s.pos+1, len(s.text))
	rest := s.text[s.pos:]
	length := 0
	for length < len(rest) {
		line, _, more := strings.Cut(rest[length:], "\n")
		if strings.TrimSuffix(line, "\r") == `\.` {
			s.pos += length + len(line)
			rows := rest[:length]
			return &rows
		}
		length += len(line)
		if more {
			length++
		}
	}
	s.pos = len(s.text)
	return &rest
}

// lineAt returns the line of a place that is not before those asked for earlier.
func (s *splitter) lineAt(pos int) int {
	s.line += strings.Count(s.text[s.counted:pos], "\n")
	s.counted = pos
	return s.line
}

// body follows what keeps a semicolon from ending a statement: parentheses, and the
// BEGIN ATOMIC of a function whose body is not in quotes.
type body struct {
	parentheses int
	open        int // BEGIN and CASE that have no END yet
}

func (b *body) word(words []string, word string) {
	if b.parentheses > 0 || !definesRoutine(words) {
		return
	}
	switch word {
	case "BEGIN":
		b.open++
	case "CASE":
		if b.open > 0 {
			b.open++
		}
	case "END":
		b.open = max(b.open-1, 0)
	}
}

func (b *body) punctuation(c byte) {
	switch c {
	case '(':
		b.parentheses++
	case ')':
		b.parentheses = max(b.parentheses-1, 0)
	}
}

func definesRoutine(words []string) bool {
	if len(words) >= 4 && words[0] == "CREATE" && words[1] == "OR" && words[2] == "REPLACE" {
		return words[3] == "FUNCTION" || words[3] == "PROCEDURE"
	}
	return len(words) >= 2 && words[0] == "CREATE" && (words[1] == "FUNCTION" || words[1] == "PROCEDURE")
}

// copiesIn and copiesOut report whether a COPY needs somebody to send rows, or to take them.
func copiesIn(words []string) bool  { return copies(words, "FROM", "STDIN") }
func copiesOut(words []string) bool { return copies(words, "TO", "STDOUT") }

func copies(words []string, how, where string) bool {
	if len(words) == 0 || words[0] != "COPY" {
		return false
	}
	at := slices.Index(words, where)
	return at > 0 && words[at-1] == how
}
