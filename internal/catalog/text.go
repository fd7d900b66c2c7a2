package catalog

import (
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
)

// shownLines is how many lines of a long text are shown of each side.
const shownLines = 12

// String returns the differences one per line, those in long texts followed by
// their changed lines, indented; empty when there is none.
func (d Difference) String() string {
	var text strings.Builder
	for _, o := range d.Objects {
		text.WriteString(o.String())
	}
	return text.String()
}

// String returns the differences of one object, as [Difference.String] does.
func (o ObjectDifference) String() string {
	name := o.Kind + " " + o.title()
	if o.Change != Changed {
		return name + " " + o.Change.text() + "\n"
	}
	var text strings.Builder
	for _, d := range o.Details {
		text.WriteString(name + ": " + d.String() + "\n")
	}
	return text.String()
}

// title returns the object's name with its schema, quoted for SQL where it has to be. A name that is
// more than an identifier, as a function's, is quoted up to there.
func (o ObjectDifference) title() string {
	name, rest := o.Name, ""
	switch {
	case o.Kind == "cast", o.Kind == "operator":
		name, rest = "", o.Name
	case strings.HasSuffix(name, ")"):
		at := strings.LastIndex(name, "(")
		name, rest = name[:at], name[at:]
	case strings.Contains(name, " USING "):
		name, rest, _ = strings.Cut(name, " USING ")
		rest = " USING " + rest
	}
	if name != "" {
		name = quote(name)
	}
	if o.Schema == "" {
		return name + rest
	}
	return quote(o.Schema) + "." + name + rest
}

func (c Change) text() string {
	if c == Undeclared {
		return "is not declared"
	}
	return "is missing"
}

// String returns the detail in words, without its object, on one line, or on
// several when the texts have several.
func (d Detail) String() string {
	part := ""
	if d.Part != "" {
		part = d.Part + " " + d.partTitle()
	}
	switch {
	case d.Change != Changed:
		return part + " " + d.Change.text()
	case strings.Contains(d.Declared, "\n") || strings.Contains(d.Actual, "\n"):
		return strings.TrimSpace(part+" "+d.Property) + " differs: - declared, + actual" + changedLines(d.Declared, d.Actual)
	case d.Part != "" && (d.Property == "type" || d.Property == "null"):
		return fmt.Sprintf("%s is %s, declared %s", part, orNone(d.Actual), orNone(d.Declared))
	case strings.HasSuffix(d.Property, "s") && !strings.HasSuffix(d.Property, "ss"):
		return fmt.Sprintf("%s are %s, declared %s", strings.TrimSpace(part+" "+d.Property), orNone(d.Actual), orNone(d.Declared))
	default:
		return fmt.Sprintf("%s is %s, declared %s", strings.TrimSpace(part+" "+d.Property), orNone(d.Actual), orNone(d.Declared))
	}
}

// partTitle is the part's name quoted where it has to be; statistics have it quoted already.
func (d Detail) partTitle() string {
	if d.Part == "statistics" {
		return d.PartName
	}
	return quote(d.PartName)
}

func orNone(value string) string {
	if value == "" {
		return "none"
	}
	return value
}

// changedLines shows the lines between what two texts have in common at their
// start and at their end.
func changedLines(declared, actual string) string {
	want, have := strings.Split(declared, "\n"), strings.Split(actual, "\n")
	for len(want) > 0 && len(have) > 0 && want[0] == have[0] {
		want, have = want[1:], have[1:]
	}
	for len(want) > 0 && len(have) > 0 && want[len(want)-1] == have[len(have)-1] {
		want, have = want[:len(want)-1], have[:len(have)-1]
	}
	return marked("-", want) + marked("+", have)
}

func marked(mark string, lines []string) string {
	var text strings.Builder
	for i, line := range lines {
		if i == shownLines {
			fmt.Fprintf(&text, "\n    %s … %d more lines", mark, len(lines)-i)
			break
		}
		text.WriteString(strings.TrimRight("\n    "+mark+" "+line, " \t\r"))
	}
	return text.String()
}

// quote quotes an identifier for people, where SQL would want quotes. Keywords are left as they are.
func quote(name string) string {
	plain := func(r rune) bool { return r == '_' || r == '$' || r >= 'a' && r <= 'z' || r >= '0' && r <= '9' }
	if name != "" && strings.IndexFunc(name, func(r rune) bool { return !plain(r) }) < 0 && (name[0] < '0' || name[0] > '9') {
		return name
	}
	return pgx.Identifier{name}.Sanitize()
}
