package history

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// pyKind is a kind of Python token.
type pyKind int

const (
	pyName pyKind = iota
	pyString
	pyNumber
	pyOp
)

// pyToken is a token of Python. Line counts from 1.
type pyToken struct {
	kind   pyKind
	text   string // of a string: what is between the quotes, as written
	prefix string // of a string, in small letters: r, b, f, …
	line   int
	depth  int // of brackets around it
}

func (t pyToken) is(op string) bool    { return t.kind == pyOp && t.text == op }
func (t pyToken) word(w string) bool   { return t.kind == pyName && t.text == w }
func (t pyToken) name() (string, bool) { return t.text, t.kind == pyName }

// pyLine is a logical line: what ends with a newline outside of brackets.
type pyLine struct {
	indent int
	tokens []pyToken
}

// pySource is a file cut into logical lines. Comments are apart.
type pySource struct {
	lines    []pyLine
	comments []comment // without header, which only the lines tell
}

// lexPython cuts a Python file into tokens. It takes more than Python does,
// where that can hide no assignment.
func lexPython(file, source string) (pySource, error) {
	l := pyLexer{file: file, src: source, line: 1}
	if err := l.run(); err != nil {
		return pySource{}, err
	}
	return l.out, nil
}

type pyLexer struct {
	file    string
	src     string
	pos     int
	line    int
	open    []pyToken // brackets that are open
	current pyLine
	started bool // the logical line has its indent
	out     pySource
}

func (l *pyLexer) run() error {
	indent := 0
	for l.pos < len(l.src) {
		c := l.src[l.pos]
		switch {
		case c == '\n':
			l.newline()
			indent = 0
		case c == '\f':
			l.pos++
			indent = 0
		case c == ' ' || c == '\t':
			l.pos++
			indent++
		case c == '#':
			l.comment()
		case c == '\\' && strings.HasPrefix(l.src[l.pos+1:], "\n"):
			l.pos += 2
			l.line++
		default:
			if !l.started {
				l.started, l.current.indent = true, indent
			}
			if err := l.token(); err != nil {
				return err
			}
		}
	}
	if len(l.open) > 0 {
		bracket := l.open[len(l.open)-1]
		return faultf(l.file, bracket.line, "%s is not closed", bracket.text)
	}
	l.flush()
	return nil
}

func (l *pyLexer) newline() {
	l.pos++
	l.line++
	if len(l.open) == 0 {
		l.flush()
	}
}

func (l *pyLexer) flush() {
	if len(l.current.tokens) > 0 {
		l.out.lines = append(l.out.lines, l.current)
	}
	l.current, l.started = pyLine{}, false
}

func (l *pyLexer) comment() {
	end := len(l.src)
	if n := strings.IndexByte(l.src[l.pos:], '\n'); n >= 0 {
		end = l.pos + n
	}
	l.out.comments = append(l.out.comments, comment{line: l.line, text: l.src[l.pos+1 : end]})
	l.pos = end
}

func (l *pyLexer) token() error {
	r, size := utf8.DecodeRuneInString(l.src[l.pos:])
	switch {
	case r == '"' || r == '\'':
		return l.str("")
	case r == '_' || unicode.IsLetter(r):
		return l.nameOrString()
	case r >= '0' && r <= '9':
		l.take(pyNumber, func(r rune) bool { return r == '.' || isNamePart(r) })
	case r > unicode.MaxASCII:
		l.take(pyName, isNamePart)
		if l.last().text == "" {
			return faultf(l.file, l.line, "the character %q is no Python", r)
		}
	default:
		return l.operator(size)
	}
	return nil
}

func isNamePart(r rune) bool {
	return r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.Is(unicode.Mn, r) || unicode.Is(unicode.Mc, r)
}

func (l *pyLexer) last() pyToken { return l.current.tokens[len(l.current.tokens)-1] }

func (l *pyLexer) add(t pyToken) {
	t.depth = len(l.open)
	l.current.tokens = append(l.current.tokens, t)
}

// take adds the longest run of characters that belong together.
func (l *pyLexer) take(kind pyKind, belongs func(rune) bool) {
	rest := l.src[l.pos:]
	end := strings.IndexFunc(rest, func(r rune) bool { return !belongs(r) })
	if end < 0 {
		end = len(rest)
	}
	l.add(pyToken{kind: kind, text: rest[:end], line: l.line})
	l.pos += end
}

// nameOrString takes a name, or the prefix of a string and the string.
func (l *pyLexer) nameOrString() error {
	rest := l.src[l.pos:]
	if n := strings.IndexAny(rest[:min(3, len(rest))], `"'`); n > 0 {
		prefix := strings.ToLower(rest[:n])
		if strings.Trim(prefix, "rbuft") == "" {
			l.pos += n
			return l.str(prefix)
		}
	}
	l.take(pyName, isNamePart)
	return nil
}

// pyOperators are those of several characters, the longest first.
const pyOperators = "**= //= >>= <<= ... == != <= >= := += -= *= /= %= @= &= |= ^= -> ** // >> <<"

func (l *pyLexer) operator(size int) error {
	rest := l.src[l.pos:]
	text := rest[:size]
	for op := range strings.FieldsSeq(pyOperators) {
		if strings.HasPrefix(rest, op) {
			text = op
			break
		}
	}
	t := pyToken{kind: pyOp, text: text, line: l.line}
	switch text {
	case "(", "[", "{":
		l.add(t)
		l.open = append(l.open, t)
	case ")", "]", "}":
		if len(l.open) == 0 || l.open[len(l.open)-1].text != opener(text) {
			return faultf(l.file, l.line, "%s closes nothing", text)
		}
		l.open = l.open[:len(l.open)-1]
		l.add(t)
	default:
		l.add(t)
	}
	l.pos += len(text)
	return nil
}

func opener(closer string) string {
	return map[string]string{")": "(", "]": "[", "}": "{"}[closer]
}
