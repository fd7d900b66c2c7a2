package registry

// Span is the half-open range of bytes [Start, End) of a text.
type Span struct{ Start, End int }

// SplitStatements finds the statements of a script, which end at semicolons or
// with it. Blanks and comments between them belong to none, and a script may
// have none. It reads the text as [ParseStatement] does, and its errors are of
// type [*StatementError].
func SplitStatements(script string) ([]Span, error) {
	tokens, err := tokenize(script)
	if err != nil {
		return nil, err
	}
	var spans []Span
	open := false
	for _, t := range tokens {
		switch {
		case script[t.start:t.end] == ";":
			open = false
		case open:
			spans[len(spans)-1].End = t.end
		default:
			open, spans = true, append(spans, Span{t.start, t.end})
		}
	}
	return spans, nil
}

// Placeholder is a :name in a text of SQL.
type Placeholder struct {
	Span             // with the colon
	Name      string // without it
	Subscript bool   // directly inside of [ ], where the colon may be a slice's
}

// Placeholders finds everything in a text that looks like a placeholder, those
// of [ParseStatement] among them. It reads the text as that does, and its errors
// are of type [*StatementError].
func Placeholders(text string) ([]Placeholder, error) {
	tokens, err := tokenize(text)
	if err != nil {
		return nil, err
	}
	var found []Placeholder
	var open []byte
	for _, t := range tokens {
		switch c := text[t.start]; {
		case t.kind == kindPlaceholder:
			found = append(found, Placeholder{
				Span: Span{t.start, t.end}, Name: text[t.start+1 : t.end],
				Subscript: len(open) > 0 && open[len(open)-1] == '[',
			})
		case c == '(' || c == '[':
			open = append(open, c)
		case c == ')' || c == ']':
			open = open[:max(0, len(open)-1)]
		}
	}
	return found, nil
}
