package sdk

import (
	"database/sql/driver"
	"encoding/json"
	"fmt"
	"reflect"

	"github.com/jackc/pgx/v5/pgtype"
)

// texts renders values as PostgreSQL reads them.
func texts(values []any) ([]*string, error) {
	rendered := make([]*string, len(values))
	types := typeMap()
	for i, value := range values {
		text, err := render(types, value)
		if err != nil {
			return nil, fmt.Errorf("argument $%d: %w", i+1, err)
		}
		rendered[i] = text
	}
	return rendered, nil
}

// render renders a value. What pgx knows a type for it does itself; what is left
// is as its kind says, and structs and maps are JSON.
func render(types *pgtype.Map, value any) (*string, error) {
	switch v := value.(type) {
	case nil:
		return nil, nil //nolint:nilnil // null is a value
	case string:
		return &v, nil
	case json.RawMessage:
		if v == nil {
			return nil, nil //nolint:nilnil // as above
		}
		text := string(v)
		return &text, nil
	}
	if known, ok := types.TypeForValue(value); ok {
		raw, err := types.Encode(known.OID, pgtype.TextFormatCode, value, nil)
		if err != nil || raw == nil {
			return nil, err
		}
		text := string(raw)
		return &text, nil
	}
	if v, ok := value.(driver.Valuer); ok {
		inner, err := v.Value()
		if err != nil {
			return nil, err
		}
		return render(types, inner)
	}
	return renderKind(types, reflect.ValueOf(value))
}

func renderKind(types *pgtype.Map, v reflect.Value) (*string, error) {
	text := ""
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			return nil, nil //nolint:nilnil // null is a value
		}
		return render(types, v.Elem().Interface())
	case reflect.String:
		text = v.String()
	case reflect.Bool, reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Float32, reflect.Float64:
		text = fmt.Sprint(v.Interface())
	case reflect.Struct, reflect.Map:
		raw, err := json.Marshal(v.Interface())
		if err != nil {
			return nil, err
		}
		text = string(raw)
	default:
		return nil, fmt.Errorf("a %s has no text that PostgreSQL reads: render it yourself", v.Type())
	}
	return &text, nil
}
