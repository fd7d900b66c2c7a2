package config

import (
	"regexp"
	"strings"
)

// variable is the name of an environment variable that ${…} may hold.
var variable = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// expand replaces ${VAR} by the variable's value and ${VAR:-text} by text
// where the variable is unset or empty. $${ is a literal ${; any other dollar
// is itself, as passwords have them. Values are not expanded again.
func expand(text string, lookup func(string) (string, bool)) (string, error) {
	var b strings.Builder
	for {
		before, after, found := strings.Cut(text, "${")
		if !found {
			b.WriteString(text)
			return b.String(), nil
		}
		if literal, escaped := strings.CutSuffix(before, "$"); escaped {
			b.WriteString(literal + "${")
			text = after
			continue
		}
		inner, rest, closed := strings.Cut(after, "}")
		if !closed {
			return "", refuse("a ${ is never closed", "write ${NAME}, or $${ for a literal ${")
		}
		value, err := resolve(inner, lookup)
		if err != nil {
			return "", err
		}
		b.WriteString(before + value)
		text = rest
	}
}

// resolve returns what stands for the inside of one ${…}.
func resolve(inner string, lookup func(string) (string, bool)) (string, error) {
	name, fallback, hasFallback := strings.Cut(inner, ":-")
	if !variable.MatchString(name) {
		return "", refuse("a ${…} does not hold the name of a variable", "write ${NAME}, or $${ for a literal ${")
	}
	value, set := lookup(name)
	switch {
	case hasFallback && value == "":
		return fallback, nil
	case !set:
		return "", refuse("${"+name+"} is not set in the environment", "set the variable, or write ${"+name+":-fallback}")
	default:
		return value, nil
	}
}
