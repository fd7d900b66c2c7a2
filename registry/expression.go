package registry

import "errors"

// CheckExpression refuses a text that is not the inside of one SQL expression:
// an empty one, one with parentheses or quotes left open, with a semicolon, a
// placeholder or a parameter. What passes keeps its place when it is written
// between parentheses; put a line break before the closing one, since the text
// may end in a comment. Whether its names and types exist, only PostgreSQL
// knows. Errors that have a position are of type [*StatementError].
func CheckExpression(text string) error {
	tokens, err := tokenize(text)
	if err != nil {
		return err
	}
	if len(tokens) == 0 {
		return errors.New("expression is empty")
	}
	p := parser{text: text, tokens: tokens}
	var open []token
	for _, t := range tokens {
		switch value := p.value(t); {
		case value == "(" || value == "[":
			open = append(open, t)
		case value == ")" || value == "]":
			if len(open) == 0 || p.value(open[len(open)-1]) != opening(value) {
				return p.fail(t, value+" closes nothing", "remove it, or open it with "+opening(value))
			}
			open = open[:len(open)-1]
		case value == ";":
			return p.fail(t, "semicolon in an expression", "write one expression, without a statement around it")
		case t.kind == kindParameter || t.kind == kindPlaceholder && !inSubscript(p, open):
			return p.fail(t, clip(value)+" in an expression", "an expression is about one row: name its columns, and write every other value as a constant")
		}
	}
	if len(open) > 0 {
		last := open[len(open)-1]
		return p.fail(last, p.value(last)+" is not closed", "close it")
	}
	return nil
}

// inSubscript reports whether a colon may be a slice's.
func inSubscript(p parser, open []token) bool {
	return len(open) > 0 && p.value(open[len(open)-1]) == "["
}

func opening(closing string) string {
	if closing == ")" {
		return "("
	}
	return "["
}
