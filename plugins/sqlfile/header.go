package sqlfile

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/bbmd-dev/bbmd/registry"
)

// maxVersion bounds versions by what their column holds.
const maxVersion = 1<<31 - 1

// format reads the format's version, of which there is one.
func (p *parser) format(value string) (fix string) {
	if value == "1" {
		return ""
	}
	return "this bbmd knows format 1: write that, or run a newer bbmd"
}

func (p *parser) version(value string) (fix string) {
	n, err := strconv.Atoi(value)
	if err != nil || n < 1 || n > maxVersion {
		return "write a number from 1 on, and a higher one when the Work does something else than before"
	}
	p.file.Version = n
	return ""
}

var namePattern = regexp.MustCompile(`^[a-z][a-z0-9_]{0,62}$`)

func checkName(name string) (fix string) {
	if namePattern.MatchString(name) {
		return ""
	}
	return "write 1 to 63 lower case letters, digits and underscores, a letter first"
}

func requireValue(value, what string) (fix string) {
	if value != "" {
		return ""
	}
	return "write " + what
}

// parameter reads "name type", or "name type = default".
func (p *parser) parameter(at int, text string) error {
	const example = `write "-- bbmd: param domain text", or with a default in JSON: "-- bbmd: param domain text = \"example.com\""`
	declared, literal, optional := strings.Cut(text, "=")
	words := strings.Fields(declared)
	if len(words) != 2 {
		return p.fail(at, "a parameter is a name and a type", example)
	}
	name, typeName := words[0], words[1]
	t, known := types[typeName]
	switch {
	case checkName(name) != "":
		return p.fail(at, fmt.Sprintf("the parameter's name is %q", clip(name)), checkName(name))
	case slices.Contains(reserved, name):
		return p.fail(at, fmt.Sprintf("the parameter's name is %q, which stands for the batch's keys", name), "choose another")
	case slices.ContainsFunc(p.file.Parameters, func(other Parameter) bool { return other.Name == name }):
		return p.fail(at, fmt.Sprintf("parameter %q for the second time", name), "leave one")
	case !known:
		return p.fail(at, fmt.Sprintf("unknown type %q%s", clip(typeName), registry.Suggestion(typeName, typeNames())),
			"the types of parameters are "+strings.Join(typeNames(), ", "))
	}
	parameter := Parameter{Name: name, Type: typeName}
	if optional {
		parameter.Default = json.RawMessage(strings.TrimSpace(literal))
		if _, err := t.constant(parameter.Default); err != nil {
			return p.fail(at, fmt.Sprintf("the default of %q %v", name, err), example)
		}
	}
	p.file.Parameters = append(p.file.Parameters, parameter)
	return nil
}

// reserved are the placeholders that are no parameters.
var reserved = []string{"range", "start", "end"} //nolint:gochecknoglobals // it does not change
