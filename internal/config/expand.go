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

// expandAll expands every text in a value of the file: itself, or what a list or a
// mapping holds. changed reports whether any was.
func expandAll(raw any, lookup func(string) (string, bool)) (expanded any, changed bool, err error) {
	switch value := raw.(type) {
	case string:
		text, err := expand(value, lookup)
		return text, text != value, err
	case []any:
		list := make([]any, len(value))
		for i, element := range value {
			now, differs, err := expandAll(element, lookup)
			if err != nil {
				return nil, false, err
			}
			list[i], changed = now, changed || differs
		}
		return list, changed, nil
	case map[string]any:
		object := make(map[string]any, len(value))
		for key, element := range value {
			now, differs, err := expandAll(element, lookup)
			if err != nil {
				return nil, false, err
			}
			object[key], changed = now, changed || differs
		}
		return object, changed, nil
	default:
		return raw, false, nil
	}
}
