package history

import (
	"bytes"
	"regexp"
	"strings"
	"unicode/utf8"
)

// pyCookie is Python's declaration of a file's encoding (PEP 263).
var pyCookie = regexp.MustCompile(`^[ \t\f]*#.*?coding[:=][ \t]*([-_.a-zA-Z0-9]+)`)

// pyBlank is a line after which the declaration may still come.
var pyBlank = regexp.MustCompile(`^[ \t\f]*(?:#.*)?$`)

// asciiBased are encodings in which every byte below 128 is ASCII, also
// within other characters, by the beginnings of their names.
const asciiBased = "iso88592 iso88593 iso88594 iso88595 iso88596 iso88597 iso88598 iso88599 iso885910 iso885911 iso885913 iso885914 iso885915 iso885916" +
	" latin2 latin3 latin4 latin5 latin6 latin7 latin8 latin9 latin10 cp125 windows125 koi8 mac euc"

// decodePython returns a file's text, with lines that end with a newline.
// Characters of encodings other than UTF-8 and Latin 1 become U+FFFD, which
// does no harm in comments.
func decodePython(file string, content []byte) (string, error) {
	content = bytes.TrimPrefix(content, []byte("\xef\xbb\xbf"))
	text := string(content)
	switch encoding := declaredEncoding(text); encoding {
	case "", "utf8", "utf8sig", "u8", "ascii", "usascii", "646":
		if !utf8.Valid(content) {
			return "", faultf(file, invalidLine(content), "it is not UTF-8, and declares no other encoding: Python refuses it too")
		}
	case "latin1", "iso88591", "latin", "l1", "88591", "cp819":
		text = fromLatin1(content)
	default:
		if !isASCIIBased(encoding) {
			return "", faultf(file, 1, "it is in the encoding %q, which cannot be read here: save it as UTF-8", encoding)
		}
		text = strings.Map(func(r rune) rune { return r }, text)
	}
	return strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(text), nil
}

// declaredEncoding returns the declared encoding without dashes, in small
// letters. Empty: none.
func declaredEncoding(text string) string {
	first, rest, _ := strings.Cut(text, "\n")
	second, _, _ := strings.Cut(rest, "\n")
	for _, line := range []string{first, second} {
		line = strings.TrimSuffix(line, "\r")
		if m := pyCookie.FindStringSubmatch(line); m != nil {
			return strings.NewReplacer("-", "", "_", "", ".", "").Replace(strings.ToLower(m[1]))
		}
		if !pyBlank.MatchString(line) {
			break
		}
	}
	return ""
}

func isASCIIBased(encoding string) bool {
	for name := range strings.FieldsSeq(asciiBased) {
		if strings.HasPrefix(encoding, name) {
			return true
		}
	}
	return false
}

func fromLatin1(content []byte) string {
	runes := make([]rune, len(content))
	for i, b := range content {
		runes[i] = rune(b)
	}
	return string(runes)
}

// invalidLine is the line of the first byte that is not UTF-8.
func invalidLine(content []byte) int {
	line := 1
	for len(content) > 0 {
		r, size := utf8.DecodeRune(content)
		if r == utf8.RuneError && size == 1 {
			break
		}
		if r == '\n' {
			line++
		}
		content = content[size:]
	}
	return line
}
