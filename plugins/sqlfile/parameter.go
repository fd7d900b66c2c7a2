package sqlfile

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// Parameter is a value that a migration gives in its arguments.
type Parameter struct {
	Name    string
	Type    string          // one of those that docs/plugins-sql.md lists
	Default json.RawMessage // a value in JSON; nil where a migration has to give one
}

func (f *File) declares(name string) bool {
	return slices.ContainsFunc(f.Parameters, func(p Parameter) bool { return p.Name == name })
}

// arguments returns a pointer to a struct that has the parameters for fields,
// as [registry.Work] wants it, or nil where there are none. Those with a default
// may be null.
func (f *File) arguments() any {
	if len(f.Parameters) == 0 {
		return nil
	}
	fields := make([]reflect.StructField, len(f.Parameters))
	for i, p := range f.Parameters {
		kind := types[p.Type].json
		if p.Default != nil {
			kind = reflect.PointerTo(kind)
		}
		fields[i] = reflect.StructField{
			Name: fmt.Sprintf("P%d", i), Type: kind, Tag: reflect.StructTag(fmt.Sprintf(`json:"%s"`, p.Name)),
		}
	}
	return reflect.New(reflect.StructOf(fields)).Interface()
}

// accept says everything that is wrong with arguments.
func (f *File) accept(arguments json.RawMessage) error {
	_, err := f.constants(arguments)
	return err
}

// constants returns the values of the parameters as SQL.
func (f *File) constants(arguments json.RawMessage) (map[string]string, error) {
	var given map[string]json.RawMessage
	if err := json.Unmarshal(arguments, &given); err != nil {
		return nil, fmt.Errorf("decode arguments: %w", err)
	}
	constants := make(map[string]string, len(f.Parameters))
	var problems []string
	for _, p := range f.Parameters {
		value, ok := given[p.Name]
		if !ok || string(value) == "null" {
			value = p.Default
		}
		if value == nil {
			problems = append(problems, fmt.Sprintf("argument %q is missing: it is a %s, and has no default", p.Name, p.Type))
			continue
		}
		constant, err := types[p.Type].constant(value)
		if err != nil {
			problems = append(problems, fmt.Sprintf("argument %q %v", p.Name, err))
			continue
		}
		constants[p.Name] = constant
	}
	if len(problems) > 0 {
		return nil, errors.New(strings.Join(problems, "; "))
	}
	return constants, nil
}
