package registry

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
)

// ValidateArguments decodes raw strictly into a new value of w.Arguments' type
// and validates it, as [Decode] does, and asks w.Accept. A Work without arguments
// accepts only an empty object. No text at all counts as an empty object.
func (w Work) ValidateArguments(raw []byte) error {
	target := any(new(struct{}))
	if w.Arguments != nil {
		target = reflect.New(reflect.TypeOf(w.Arguments).Elem()).Interface()
	}
	if err := decode(raw, target); err != nil {
		return fmt.Errorf("arguments of %s: %w", w.Name, err)
	}
	if w.Accept == nil {
		return nil
	}
	if len(bytes.TrimSpace(raw)) == 0 {
		raw = []byte("{}")
	}
	if err := w.Accept(raw); err != nil {
		return fmt.Errorf("arguments of %s: %w", w.Name, err)
	}
	return nil
}

// Decode decodes a JSON object strictly into a T, a struct, and calls its
// method Validate() error, if it has one. It refuses names that T's fields do
// not have in exactly that spelling, values of another type, null for the
// object, and anything behind the object. No text at all counts as an empty object.
func Decode[T any](raw []byte) (T, error) {
	var target T
	err := decode(raw, &target)
	return target, err
}

// decode fills target, a pointer to a struct.
func decode(raw []byte, target any) error {
	if len(bytes.TrimSpace(raw)) == 0 {
		raw = []byte("{}")
	}
	var object map[string]json.RawMessage
	if err := json.Unmarshal(raw, &object); err != nil {
		return explain(err)
	}
	if object == nil {
		return errors.New("null is not an object: write {}")
	}
	if _, own := target.(json.Unmarshaler); !own {
		if err := checkNames(object, fieldNames(reflect.TypeOf(target).Elem())); err != nil {
			return err
		}
	}
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.DisallowUnknownFields() // in nested objects; the outermost is checked
	if err := decoder.Decode(target); err != nil {
		return explain(err)
	}
	if v, ok := target.(interface{ Validate() error }); ok {
		return v.Validate()
	}
	return nil
}

// checkNames refuses what json.Unmarshal would take in another spelling or drop.
func checkNames(object map[string]json.RawMessage, known []string) error {
	var problems []string
	for _, name := range slices.Sorted(maps.Keys(object)) {
		if !slices.Contains(known, name) {
			problems = append(problems, fmt.Sprintf("unknown argument %q%s", name, Suggestion(name, known)))
		}
	}
	if len(problems) == 0 {
		return nil
	}
	hint := "it takes none"
	if len(known) > 0 {
		hint = "it takes " + strings.Join(known, ", ")
	}
	return errors.New(strings.Join(problems, "; ") + " (" + hint + ")")
}

// fieldNames returns the names in JSON of a struct's fields, those of embedded
// structs included.
func fieldNames(t reflect.Type) []string {
	var names []string
	for _, field := range reflect.VisibleFields(t) {
		tag, tagged := field.Tag.Lookup("json")
		name, _, _ := strings.Cut(tag, ",")
		switch {
		case tag == "-" || !field.IsExported() || field.Anonymous && !tagged:
		case name == "":
			names = append(names, field.Name)
		default:
			names = append(names, name)
		}
	}
	return names
}

// explain says in the words of arguments what encoding/json says in Go's.
func explain(err error) error {
	mismatch, ok := errors.AsType[*json.UnmarshalTypeError](err)
	switch {
	case !ok:
		return fmt.Errorf("not the JSON that is expected: %w", err)
	case mismatch.Field == "":
		return fmt.Errorf("%s is not an object: write {…}", mismatch.Value)
	default:
		return fmt.Errorf("argument %q is a %s and has to be a %s", mismatch.Field, mismatch.Value, mismatch.Type)
	}
}
