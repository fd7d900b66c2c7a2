package initialize

import (
	"errors"
	"fmt"
	"strings"
)

// token is a piece of SQL as far as one has to know it to find where a
// statement ends. Comments and white space are none.
type token struct {
	kind       tokenKind
	start, end int // in the text
}

type tokenKind int

const (
	tokenEnd    tokenKind = iota // of the text
	tokenWord                    // a keyword or a name without quotes
	tokenQuoted                  // a string or a name in quotes
	tokenOther                   // one character of anything else
	tokenMeta                    // a command of psql's, to the end of its line
)

// lexer reads SQL as psql does. It knows quotes and comments, and leaves
// everything else to the server.
type lexer struct {
	text string
	pos  int
}

// next returns the next token, and an error where a quote or a comment has no
// end; the token is then where it begins.
func (l *lexer) next() (token, error) {
	if at, err := l.blank(); err != nil {
		return token{start: at, end: len(l.text)}, err
	}
	start := l.pos
	if start == len(l.text) {
		return token{start: start, end: start}, nil
	}
	kind, err := l.read()
	return token{kind: kind, start: start, end: l.pos}, err
}

// read moves past one token.
func (l *lexer) read() (tokenKind, error) {
	switch c := l.text[l.pos]; {
	case c == '\'':
		return tokenQuoted, l.quoted('\'', false)
	case c == '"':
		return tokenQuoted, l.quoted('"', false)
	case c == '$':
		return l.dollar()
	case c == '\\':
		l.skipLine()
		return tokenMeta, nil
	case startsWord(c):
		start := l.pos
		for l.pos < len(l.text) && continuesWord(l.text[l.pos]) {
			l.pos++
		}
		if l.at("'") && strings.EqualFold(l.text[start:l.pos], "e") {
			return tokenQuoted, l.quoted('\'', true)
		}
		return tokenWord, nil
	case '0' <= c && c <= '9':
		for l.pos < len(l.text) && continuesWord(l.text[l.pos]) { // 1e5 is no word
			l.pos++
		}
		return tokenOther, nil
	default:
		l.pos++
		return tokenOther, nil
	}
}

// blank moves past white space and comments. Where a comment has no end it
// returns where it begins.
func (l *lexer) blank() (int, error) {
	for l.pos < len(l.text) {
		switch {
		case strings.IndexByte(" \t\r\n\f\v", l.text[l.pos]) >= 0:
			l.pos++
		case l.at("--"):
			l.skipLine()
		case l.at("/*"):
			if start := l.pos; !l.comment() {
				return start, errors.New("a comment begins here, and nothing ends it")
			}
		default:
			return l.pos, nil
		}
	}
	return l.pos, nil
}

// comment moves past a comment, in which there may be others, and reports whether it ends.
func (l *lexer) comment() bool {
	depth := 0
	for l.pos < len(l.text) {
		switch {
		case l.at("/*"):
			depth++
			l.pos += 2
		case l.at("*/"):
			depth--
			l.pos += 2
			if depth == 0 {
				return true
			}
		default:
			l.pos++
		}
	}
	return false
}

// quoted moves past a string or a quoted name. A quote that is doubled reads as two
// strings one after the other, which comes to the same. escapes: a backslash
// takes the meaning from the character behind it.
func (l *lexer) quoted(quote byte, escapes bool) error {
	for l.pos++; l.pos < len(l.text); l.pos++ {
		switch c := l.text[l.pos]; {
		case c == '\\' && escapes:
			l.pos++
		case c == quote && escapes && strings.HasPrefix(l.text[l.pos+1:], string(quote)):
			l.pos++
		case c == quote:
			l.pos++
			return nil
		}
	}
	l.pos = len(l.text)
	return fmt.Errorf("a quote (%c) begins here, and nothing ends it", quote)
}

// dollar moves past a string in dollar quotes, or past a dollar sign.
func (l *lexer) dollar() (tokenKind, error) {
	end := l.pos + 1
	for end < len(l.text) && continuesWord(l.text[end]) && l.text[end] != '$' {
		end++
	}
	tag := l.text[l.pos+1 : end]
	if end == len(l.text) || l.text[end] != '$' || tag != "" && !startsWord(tag[0]) {
		l.pos++
		return tokenOther, nil
	}
	delimiter := l.text[l.pos : end+1]
	length := strings.Index(l.text[end+1:], delimiter)
	if length < 0 {
		l.pos = len(l.text)
		return tokenQuoted, fmt.Errorf("a quote (%s) begins here, and nothing ends it", delimiter)
	}
	l.pos = end + 1 + length + len(delimiter)
	return tokenQuoted, nil
}

func (l *lexer) at(text string) bool { return strings.HasPrefix(l.text[l.pos:], text) }

// skipLine moves to the end of the line.
func (l *lexer) skipLine() {
	if i := strings.IndexByte(l.text[l.pos:], '\n'); i >= 0 {
		l.pos += i
		return
	}
	l.pos = len(l.text)
}

func startsWord(c byte) bool {
	return c == '_' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || c >= 0x80
}

func continuesWord(c byte) bool {
	return startsWord(c) || c == '$' || '0' <= c && c <= '9'
}
