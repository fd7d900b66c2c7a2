package process

import (
	"errors"
	"fmt"
	"strings"
)

// commands are what a statement may begin with: those that cannot end the
// transaction, leave it, or change the session.
const (
	readingCommands = "SELECT VALUES TABLE WITH"
	writingCommands = readingCommands + " INSERT UPDATE DELETE MERGE"
)

// checkStatement refuses what is not one statement of the commands. It reads
// as PostgreSQL does with standard_conforming_strings on; PostgreSQL's extended
// protocol refuses several statements once more.
func checkStatement(sql, commands string) error {
	s := scanner{text: sql}
	first, ended := "", false
	for {
		word, more := s.next()
		switch {
		case !more:
			if first == "" {
				return fmt.Errorf("statement is empty: write one of %s", commands)
			}
			return nil
		case ended:
			return errors.New("more than one statement: send each by itself")
		case word == ";":
			ended = true
		case first == "" && word == "(":
		case first == "":
			first = strings.ToUpper(word)
			if !contains(commands, first) {
				return fmt.Errorf("%s is not run for a plugin: one of %s is", clip(first), commands)
			}
		}
	}
}

func contains(list, word string) bool {
	for known := range strings.FieldsSeq(list) {
		if known == word {
			return true
		}
	}
	return false
}

// scanner cuts SQL into words, single characters, and quoted pieces.
type scanner struct {
	text string
	at   int
}

// next returns the next piece that is neither space nor comment.
func (s *scanner) next() (piece string, more bool) {
	s.skip()
	if s.at >= len(s.text) {
		return "", false
	}
	start := s.at
	switch rest := s.text[s.at:]; {
	case rest[0] == '\'':
		s.quoted('\'', false)
	case rest[0] == '"':
		s.quoted('"', false)
	case len(rest) > 1 && (rest[0] == 'E' || rest[0] == 'e') && rest[1] == '\'':
		s.at++
		s.quoted('\'', true)
	case rest[0] == '$' && s.dollar():
	case inWord(rest[0]):
		for s.at < len(s.text) && (inWord(s.text[s.at]) || s.text[s.at] == '$') {
			s.at++
		}
	default:
		s.at++
	}
	return s.text[start:s.at], true
}

// skip passes spaces and comments, which may be nested.
func (s *scanner) skip() {
	for s.at < len(s.text) {
		switch rest := s.text[s.at:]; {
		case strings.IndexByte(" \t\r\n\f\v", rest[0]) >= 0:
			s.at++
		case strings.HasPrefix(rest, "--"):
			end := strings.IndexAny(rest, "\r\n")
			if end < 0 {
				end = len(rest)
			}
			s.at += end
		case strings.HasPrefix(rest, "/*"):
			s.comment()
		default:
			return
		}
	}
}

func (s *scanner) comment() {
	depth := 0
	for s.at < len(s.text) {
		switch rest := s.text[s.at:]; {
		case strings.HasPrefix(rest, "/*"):
			depth++
			s.at += 2
		case strings.HasPrefix(rest, "*/"):
			s.at += 2
			if depth--; depth == 0 {
				return
			}
		default:
			s.at++
		}
	}
}

// quoted passes a quoted piece. A doubled quote begins another, which is as good.
func (s *scanner) quoted(quote byte, backslashes bool) {
	for s.at++; s.at < len(s.text); s.at++ {
		switch s.text[s.at] {
		case '\\':
			if backslashes {
				s.at++
			}
		case quote:
			s.at++
			if backslashes && s.at < len(s.text) && s.text[s.at] == quote {
				continue // the string goes on, and so do its backslashes
			}
			return
		}
	}
	s.at = len(s.text)
}

// dollar passes a dollar-quoted string, if one begins here.
func (s *scanner) dollar() bool {
	rest := s.text[s.at:]
	end := strings.IndexByte(rest[1:], '$')
	if end < 0 {
		return false
	}
	tag := rest[:end+2]
	for i := 1; i < len(tag)-1; i++ {
		if !inWord(tag[i]) || i == 1 && tag[i] >= '0' && tag[i] <= '9' {
			return false
		}
	}
	closing := strings.Index(rest[len(tag):], tag)
	if closing < 0 {
		s.at = len(s.text)
		return true
	}
	s.at += len(tag) + closing + len(tag)
	return true
}

func inWord(c byte) bool {
	return c == '_' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= 0x80
}

// clip shortens what a message quotes.
func clip(s string) string {
	const limit = 60
	if len(s) <= limit {
		return s
	}
	return strings.ToValidUTF8(s[:limit], "") + "…"
}
