package terminal

import (
	"io"
	"os"
	"strings"
	"unicode"

	"golang.org/x/term"
)

// Screen is where output goes, and what it can do. The zero value of all but
// Out is right for a file or a pipe.
type Screen struct {
	Out   io.Writer
	Live  bool // lines can be redrawn in place
	Color bool
	Width int // columns; 0: as long as a line wants to be
}

// Detect returns the Screen of out. getenv is asked for NO_COLOR and TERM; see
// [os.Getenv].
func Detect(out io.Writer, getenv func(string) string) Screen {
	file, ok := out.(*os.File)
	if !ok || !term.IsTerminal(int(file.Fd())) {
		return Screen{Out: out}
	}
	width, _, err := term.GetSize(int(file.Fd()))
	if err != nil || width <= 0 {
		width = 80
	}
	dumb := getenv("TERM") == "dumb"
	return Screen{Out: out, Live: !dumb, Color: !dumb && getenv("NO_COLOR") == "", Width: width}
}

// Style is how a piece of text looks where there are colors.
type Style string

// The styles.
const (
	Plain  Style = ""
	Bold   Style = "1"
	Dim    Style = "2"
	Red    Style = "31"
	Green  Style = "32"
	Yellow Style = "33"
	Blue   Style = "34"
	Cyan   Style = "36"
)

// Paint returns text in a style, if the screen has colors.
func (s Screen) Paint(style Style, text string) string {
	if !s.Color || style == Plain || text == "" {
		return text
	}
	return "\x1b[" + string(style) + "m" + text + "\x1b[0m"
}

// Clean makes one line of text that anybody may have written: white space
// becomes single spaces, other control characters the sign for what cannot be shown.
func Clean(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) {
			return unicode.ReplacementChar
		}
		return r
	}, text)
}

// Width returns how many columns text takes, without styles in it.
func Width(text string) int {
	width := 0
	for _, r := range text {
		width += runeWidth(r)
	}
	return width
}

func runeWidth(r rune) int {
	switch {
	case unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf):
		return 0
	case unicode.In(r, unicode.Han, unicode.Hangul, unicode.Hiragana, unicode.Katakana), r >= 0x1F300 && r < 0x1FB00:
		return 2
	default:
		return 1
	}
}

// Fit returns text in at most width columns, with an ellipsis where it was cut.
func Fit(text string, width int) string {
	if Width(text) <= width {
		return text
	}
	var fits strings.Builder
	left := width - 1 // for the ellipsis
	for _, r := range text {
		if left -= runeWidth(r); left < 0 {
			break
		}
		fits.WriteRune(r)
	}
	if width <= 0 {
		return ""
	}
	return fits.String() + "…"
}

// Wrap breaks text at its spaces into lines of at most width columns; 0: one
// line. A word that is longer is broken where it has to be.
func Wrap(text string, width int) []string {
	if width <= 0 || Width(text) <= width {
		return []string{text}
	}
	var lines []string
	line := ""
	for word := range strings.FieldsSeq(text) {
		if line != "" && Width(line)+1+Width(word) <= width {
			line += " " + word
			continue
		}
		if line != "" {
			lines = append(lines, line)
		}
		for Width(word) > width {
			head := cut(word, width)
			lines = append(lines, head)
			word = word[len(head):]
		}
		line = word
	}
	return append(lines, line)
}

// cut returns the beginning of text that takes at most width columns, and at
// least one rune.
func cut(text string, width int) string {
	for i, r := range text {
		if width -= runeWidth(r); width < 0 && i > 0 {
			return text[:i]
		}
	}
	return text
}

// pad fills text up to width columns, on the left if right is set.
func pad(text string, width int, right bool) string {
	fill := strings.Repeat(" ", max(0, width-Width(text)))
	if right {
		return fill + text
	}
	return text + fill
}
