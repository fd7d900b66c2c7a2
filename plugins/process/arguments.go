package process

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"
)

// argumentType returns the Go type of an argument's values, or nil.
func argumentType(name string) reflect.Type {
	switch name {
	case "string":
		return reflect.TypeFor[string]()
	case "integer":
		return reflect.TypeFor[int64]()
	case "number":
		return reflect.TypeFor[float64]()
	case "boolean":
		return reflect.TypeFor[bool]()
	case "strings":
		return reflect.TypeFor[[]string]()
	default:
		return nil
	}
}

// target returns a pointer to a struct that takes exactly the Work's arguments,
// or nil if it has none: what registry.Work.Arguments wants.
func (w *WorkSpec) target() any {
	if len(w.Arguments) == 0 {
		return nil
	}
	fields := make([]reflect.StructField, len(w.Arguments))
	for i, a := range w.Arguments {
		fields[i] = reflect.StructField{
			Name: "Argument" + strconv.Itoa(i),
			Type: argumentType(a.Type),
			Tag:  reflect.StructTag(`json:"` + a.Name + `"`), // a name holds neither quotes nor commas
		}
	}
	return reflect.New(reflect.StructOf(fields)).Interface()
}

// arguments returns a migration's arguments with the manifest's defaults.
func (w *WorkSpec) arguments(raw json.RawMessage) (json.RawMessage, error) {
	given := map[string]json.RawMessage{}
	if len(raw) > 0 {
		if err := json.Unmarshal(raw, &given); err != nil {
			return nil, fmt.Errorf("arguments of %s: %w", w.Name, err)
		}
	}
	for _, a := range w.Arguments {
		if value, ok := given[a.Name]; ok && string(value) != "null" {
			continue
		}
		if a.Required {
			return nil, fmt.Errorf("arguments of %s: %q is missing: %s", w.Name, a.Name, a.wayOut())
		}
		delete(given, a.Name)
		if a.Default != nil {
			given[a.Name] = a.Default
		}
	}
	return json.Marshal(given)
}

func (a Argument) wayOut() string {
	if a.Summary != "" {
		return a.Summary
	}
	return "give it, as a " + a.Type
}
