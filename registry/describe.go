package registry

import (
	"reflect"
	"strings"
)

// ArgumentInfo describes one argument of a Work, for lists and forms.
type ArgumentInfo struct {
	Name     string `json:"name"`
	Type     string `json:"type"` // string, number, boolean, array, object or any
	Nullable bool   `json:"nullable"`
}

// Describe lists the arguments that the Work takes, in the order of its struct.
func (w Work) Describe() []ArgumentInfo {
	infos := []ArgumentInfo{}
	if w.Arguments == nil {
		return infos
	}
	for _, field := range reflect.VisibleFields(reflect.TypeOf(w.Arguments).Elem()) {
		tag, tagged := field.Tag.Lookup("json")
		name, _, _ := strings.Cut(tag, ",")
		if tag == "-" || !field.IsExported() || field.Anonymous && !tagged {
			continue
		}
		if name == "" {
			name = field.Name
		}
		kind := field.Type
		nullable := kind.Kind() == reflect.Pointer
		if nullable {
			kind = kind.Elem()
		}
		infos = append(infos, ArgumentInfo{Name: name, Type: jsonType(kind), Nullable: nullable})
	}
	return infos
}

func jsonType(t reflect.Type) string {
	switch kind := t.Kind(); {
	case kind == reflect.String:
		return "string"
	case kind == reflect.Bool:
		return "boolean"
	case kind >= reflect.Int && kind <= reflect.Float64:
		return "number"
	case kind == reflect.Slice || kind == reflect.Array:
		return "array"
	case kind == reflect.Map || kind == reflect.Struct:
		return "object"
	default:
		return "any"
	}
}
