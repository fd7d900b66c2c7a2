package process

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/bbmd-dev/bbmd/registry"
)

// parse decodes a manifest. Keys that it does not know are problems, what is no
// manifest at all is an error.
func parse(content []byte, m *Manifest, problems *problems) error {
	decoder := json.NewDecoder(bytes.NewReader(content))
	var whole json.RawMessage
	if err := decoder.Decode(&whole); err != nil {
		return fmt.Errorf("not JSON: %w: see docs/plugins-process.md for an example", err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return errors.New("something follows the object: remove it")
	}
	checkKeys(whole, reflect.TypeFor[Manifest](), "", problems)
	err := json.Unmarshal(whole, m)
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return fmt.Errorf("%s: it is a %s and has to be a %s", wrong.Field, wrong.Value, inJSON(wrong.Type))
	}
	return err
}

// checkKeys refuses keys that t's fields do not have in exactly that spelling,
// and keys that are there twice.
func checkKeys(raw json.RawMessage, t reflect.Type, at string, problems *problems) {
	if t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Struct {
		var items []json.RawMessage
		if json.Unmarshal(raw, &items) != nil {
			return // the decoder says it better
		}
		for i, item := range items {
			checkKeys(item, t.Elem(), fmt.Sprintf("%s[%d]", at, i), problems)
		}
		return
	}
	var object map[string]json.RawMessage
	if t.Kind() != reflect.Struct || json.Unmarshal(raw, &object) != nil {
		return
	}
	known := map[string]reflect.Type{}
	for _, field := range reflect.VisibleFields(t) {
		known[field.Tag.Get("json")] = field.Type
	}
	names := slices.Sorted(maps.Keys(known))
	for _, key := range slices.Sorted(maps.Keys(object)) {
		inner, ok := known[key]
		if !ok {
			problems.add(join(at, key), fmt.Sprintf("unknown key%s: remove it, it has to be one of %s",
				registry.Suggestion(key, names), strings.Join(names, ", ")))
			continue
		}
		checkKeys(object[key], inner, join(at, key), problems)
	}
}

func join(at, key string) string {
	if at == "" {
		return key
	}
	return at + "." + key
}

// inJSON names a Go type in the words of JSON.
func inJSON(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Int:
		return "whole number"
	case reflect.Bool:
		return "true or false"
	case reflect.Slice:
		return "list"
	case reflect.Struct:
		return "object"
	default:
		return t.Kind().String()
	}
}
