package history

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// str takes a string. The position is at its first quote.
func (l *pyLexer) str(prefix string) error {
	start := l.line
	body, err := l.quoted(strings.ContainsAny(prefix, "ft"))
	if err != nil {
		return err
	}
	l.add(pyToken{kind: pyString, text: body, prefix: prefix, line: start})
	return nil
}

// quoted returns what is between the quotes at the position, and goes behind
// them. In a formatted string, expressions in braces may hold the same quotes.
func (l *pyLexer) quoted(formatted bool) (string, error) {
	start := l.line
	mark := l.src[l.pos : l.pos+1]
	if triple := strings.Repeat(mark, 3); strings.HasPrefix(l.src[l.pos:], triple) {
		mark = triple
	}
	l.pos += len(mark)
	from := l.pos
	for l.pos < len(l.src) {
		c := l.src[l.pos]
		switch {
		case strings.HasPrefix(l.src[l.pos:], mark):
			body := l.src[from:l.pos]
			l.pos += len(mark)
			return body, nil
		case c == '\n' && len(mark) == 1:
			return "", faultf(l.file, start, "the string has no end")
		case c == '\\' && l.pos+1 < len(l.src):
			l.step()
			if !formatted || l.src[l.pos] != '{' { // no backslash takes its meaning from a brace
				l.step()
			}
		case c == '{' && formatted && strings.HasPrefix(l.src[l.pos:], "{{"):
			l.pos += 2
		case c == '{' && formatted:
			l.pos++
			if err := l.expression(start); err != nil {
				return "", err
			}
		default:
			l.step()
		}
	}
	return "", faultf(l.file, start, "the string has no end")
}

// step goes over a byte.
func (l *pyLexer) step() {
	if l.src[l.pos] == '\n' {
		l.line++
	}
	l.pos++
}

// expression goes over an expression of a formatted string, its opening brace
// behind it, up to and with the closing one. After a colon outside of
// brackets, text follows, in which only braces mean something.
func (l *pyLexer) expression(start int) error {
	depth, format := 0, false
	for l.pos < len(l.src) {
		c := l.src[l.pos]
		switch {
		case c == '}' && depth == 0:
			l.pos++
			return nil
		case c == '{' && format:
			l.pos++
			if err := l.expression(start); err != nil {
				return err
			}
			continue
		case !format && (c == '"' || c == '\''):
			prefixed := strings.ContainsAny(strings.ToLower(l.src[max(0, l.pos-2):l.pos]), "ft")
			if _, err := l.quoted(prefixed); err != nil {
				return err
			}
			continue
		case !format && c == '#': // a comment, up to the end of the line
			for l.pos < len(l.src) && l.src[l.pos] != '\n' {
				l.pos++
			}
			continue
		case !format && strings.IndexByte("([{", c) >= 0:
			depth++
		case !format && strings.IndexByte(")]}", c) >= 0:
			depth--
		case c == ':' && depth == 0:
			format = true
		}
		l.step()
	}
	return faultf(l.file, start, "the string has no end")
}

// decodeString returns the value of a string of text. It is false for bytes,
// formatted strings, and escapes that need more than this file.
func decodeString(t pyToken) (string, bool) {
	switch t.prefix {
	case "r":
		return t.text, true
	case "", "u":
		return unescape(t.text)
	default:
		return "", false
	}
}

func unescape(body string) (string, bool) {
	var b strings.Builder
	for {
		before, after, found := strings.Cut(body, `\`)
		b.WriteString(before)
		if !found {
			return b.String(), true
		}
		if after == "" {
			return "", false
		}
		value, width, ok := escape(after)
		if !ok {
			return "", false
		}
		b.WriteString(value)
		body = after[width:]
	}
}

// escape decodes what follows a backslash, and says how many bytes that are.
func escape(after string) (value string, width int, ok bool) {
	const plain = "\n" + `\'"abfnrtv`
	values := []string{"", `\`, "'", `"`, "\a", "\b", "\f", "\n", "\r", "\t", "\v"}
	if i := strings.IndexByte(plain, after[0]); i >= 0 {
		return values[i], 1, true
	}
	switch after[0] {
	case 'x':
		return codePoint(after, 1, 2, 16)
	case 'u':
		return codePoint(after, 1, 4, 16)
	case 'U':
		return codePoint(after, 1, 8, 16)
	case 'N':
		return "", 0, false
	}
	if digits := len(after) - len(strings.TrimLeft(after, "01234567")); digits > 0 {
		return codePoint(after, 0, min(digits, 3), 8)
	}
	_, size := utf8.DecodeRuneInString(after)
	return `\` + after[:size], size, true // Python keeps what it does not know
}

func codePoint(after string, from, digits, base int) (value string, width int, ok bool) {
	if len(after) < from+digits {
		return "", 0, false
	}
	n, err := strconv.ParseUint(after[from:from+digits], base, 32)
	if err != nil || n > utf8.MaxRune || !utf8.ValidRune(rune(n)) {
		return "", 0, false
	}
	return string(rune(n)), from + digits, true
}
