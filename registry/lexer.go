package registry

import (
	"strings"
	"unicode/utf8"
)

// tokenKind tells apart what the statement parser has to know of SQL.
type tokenKind int

const (
	kindSymbol      tokenKind = iota // punctuation, an operator's byte, a digit, "::" or ":="
	kindWord                         // a keyword or an unquoted name
	kindQuotedName                   // "name"
	kindString                       // a string constant of any form
	kindPlaceholder                  // :name
	kindParameter                    // $1
)

// token is the half-open range of bytes [start, end) of the text.
type token struct {
	kind       tokenKind
	start, end int
}

// lexer cuts SQL into tokens by the rules of PostgreSQL's scan.l with
// standard_conforming_strings on. It knows no operators and no numbers: only
// what decides whether a colon, a dollar or a semicolon means something.
type lexer struct {
	text string
	pos  int
}

// tokenize returns the tokens of text; blanks and comments are left out.
func tokenize(text string) ([]token, error) {
	if i := strings.IndexByte(text, 0); i >= 0 {
		return nil, failAt(text, i, "zero byte", "remove it, PostgreSQL's text cannot hold it")
	}
	if !utf8.ValidString(text) {
		return nil, failAt(text, invalidAt(text), "not UTF-8", "save the text as UTF-8")
	}
	l := lexer{text: text}
	var tokens []token
	for {
		if err := l.skipBlank(); err != nil {
			return nil, err
		}
		if l.pos == len(text) {
			return tokens, nil
		}
		t, err := l.next()
		if err != nil {
			return nil, err
		}
		tokens = append(tokens, t)
	}
}

// next cuts the token at the current position, which is neither blank nor the end.
func (l *lexer) next() (token, error) {
	start := l.pos
	kind, err := kindSymbol, error(nil)
	switch c := l.text[l.pos]; {
	case c == '\'':
		kind, err = kindString, l.quoted("string", false)
	case c == '"':
		kind, err = kindQuotedName, l.quoted("quoted name", false)
	case c == '$':
		kind, err = l.dollar()
	case c == ':':
		kind = l.colon()
	case isWordStart(c):
		kind, err = l.word()
	default:
		l.pos++
	}
	return token{kind: kind, start: start, end: l.pos}, err
}

// skipBlank moves past whitespace and comments.
func (l *lexer) skipBlank() error {
	for l.pos < len(l.text) {
		switch {
		case isSpace(l.text[l.pos]):
			l.pos++
		case l.at("--"):
			l.skipLine()
		case l.at("/*"):
			if err := l.skipBlock(); err != nil {
				return err
			}
		default:
			return nil
		}
	}
	return nil
}

// skipLine moves to the end of a line comment. A lone carriage return ends it too.
func (l *lexer) skipLine() {
	if i := strings.IndexAny(l.text[l.pos:], "\r\n"); i >= 0 {
		l.pos += i
		return
	}
	l.pos = len(l.text)
}

// skipBlock moves past a block comment; block comments nest.
func (l *lexer) skipBlock() error {
	start := l.pos
	for depth := 0; l.pos < len(l.text); {
		switch {
		case l.at("/*"):
			depth++
			l.pos += 2
		case l.at("*/"):
			depth--
			l.pos += 2
			if depth == 0 {
				return nil
			}
		default:
			l.pos++
		}
	}
	return failAt(l.text, start, "comment is not closed", "end it with */, one for each /* inside it")
}

// quoted moves past a string or a quoted name, whose quote it stands at. A
// doubled quote does not end it, nor does one after a backslash if escapes is set.
func (l *lexer) quoted(what string, escapes bool) error {
	start, quote := l.pos, l.text[l.pos]
	for l.pos++; l.pos < len(l.text); l.pos++ {
		switch c := l.text[l.pos]; {
		case c == '\\' && escapes:
			l.pos++
		case c != quote:
		case l.pos+1 < len(l.text) && l.text[l.pos+1] == quote:
			l.pos++
		default:
			l.pos++
			return nil
		}
	}
	l.pos = len(l.text)
	return failAt(l.text, start, what+" is not closed", "end it with "+string(quote)+", and double each "+string(quote)+" inside it")
}

// escapeString moves past an E'…' string, whose quote it stands at. Further
// strings on later lines continue it, and their backslashes still escape.
func (l *lexer) escapeString() error {
	for {
		if err := l.quoted("string", true); err != nil {
			return err
		}
		end := l.pos
		if !l.continues() {
			l.pos = end
			return nil
		}
	}
}

// continues moves to the quote of a string that continues the one before: only
// whitespace with a line break, and line comments, stand between the two.
func (l *lexer) continues() bool {
	newline := false
	for l.pos < len(l.text) {
		switch c := l.text[l.pos]; {
		case c == '\'':
			return newline
		case isSpace(c):
			newline = newline || c == '\n' || c == '\r'
			l.pos++
		case l.at("--"):
			l.skipLine()
		default:
			return false
		}
	}
	return false
}

// word moves past a name or keyword. The letter E directly before a quote
// makes a string with escapes of it.
func (l *lexer) word() (tokenKind, error) {
	start := l.pos
	l.skipWord()
	if strings.EqualFold(l.text[start:l.pos], "e") && l.at("'") {
		return kindString, l.escapeString()
	}
	return kindWord, nil
}

// dollar moves past a parameter, a dollar-quoted string, or a lone dollar.
func (l *lexer) dollar() (tokenKind, error) {
	start := l.pos
	l.pos++
	if l.pos < len(l.text) && isDigit(l.text[l.pos]) {
		for l.pos < len(l.text) && isDigit(l.text[l.pos]) {
			l.pos++
		}
		return kindParameter, nil
	}
	end := l.pos
	for end < len(l.text) && isWordPart(l.text[end]) && l.text[end] != '$' {
		end++
	}
	if end == len(l.text) || l.text[end] != '$' {
		return kindSymbol, nil
	}
	tag := l.text[start : end+1]
	length := strings.Index(l.text[end+1:], tag)
	if length < 0 {
		return kindString, failAt(l.text, start, "string is not closed", "end it with "+tag)
	}
	l.pos = end + 1 + length + len(tag)
	return kindString, nil
}

// colon moves past "::", ":=", a placeholder, or a lone colon, which is also
// the one before a string with escapes.
func (l *lexer) colon() tokenKind {
	l.pos++
	switch {
	case l.at(":"), l.at("="):
		l.pos++
		return kindSymbol
	case l.pos == len(l.text), !isWordStart(l.text[l.pos]), l.at("e'"), l.at("E'"):
		return kindSymbol
	}
	l.skipWord()
	return kindPlaceholder
}

func (l *lexer) skipWord() {
	for l.pos < len(l.text) && isWordPart(l.text[l.pos]) {
		l.pos++
	}
}

func (l *lexer) at(prefix string) bool { return strings.HasPrefix(l.text[l.pos:], prefix) }

func isSpace(c byte) bool { return c == ' ' || c >= '\t' && c <= '\r' }

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

func isWordStart(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_' || c >= utf8.RuneSelf
}

func isWordPart(c byte) bool { return isWordStart(c) || isDigit(c) || c == '$' }

// failAt returns the error for the byte at offset.
func failAt(text string, offset int, reason, fix string) error {
	before := text[:offset]
	line := 1 + strings.Count(before, "\n")
	column := 1 + utf8.RuneCountInString(before[strings.LastIndexByte(before, '\n')+1:])
	return &StatementError{Line: line, Column: column, Reason: reason, Fix: fix}
}

// invalidAt returns the offset of the first byte that is not UTF-8.
func invalidAt(text string) int {
	for i, r := range text {
		if r == utf8.RuneError && !strings.HasPrefix(text[i:], "\uFFFD") {
			return i
		}
	}
	return len(text)
}
