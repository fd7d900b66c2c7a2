package sqlfile

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// paramType is a type that parameters may have: how its values are written in
// JSON, and as constants in SQL.
type paramType struct {
	sql  string       // in SQL
	json reflect.Type // that its values decode into
	text func(raw json.RawMessage) (string, error)
}

//nolint:gochecknoglobals // it does not change
var types = map[string]paramType{
	"text":        {"text", reflect.TypeFor[string](), asText(nil)},
	"boolean":     {"boolean", reflect.TypeFor[bool](), asJSON[bool]("true or false")},
	"smallint":    {"smallint", reflect.TypeFor[int16](), asJSON[int16]("a whole number of two bytes")},
	"integer":     {"integer", reflect.TypeFor[int32](), asJSON[int32]("a whole number of four bytes")},
	"bigint":      {"bigint", reflect.TypeFor[int64](), asJSON[int64]("a whole number of eight bytes")},
	"numeric":     {"numeric", reflect.TypeFor[json.Number](), asNumber},
	"double":      {"double precision", reflect.TypeFor[float64](), asJSON[float64]("a number")},
	"date":        {"date", reflect.TypeFor[string](), asText(isTime("a date as 2026-01-31", time.DateOnly))},
	"timestamp":   {"timestamp", reflect.TypeFor[string](), asText(isTime("a time as 2026-01-31T12:00:00", "2006-01-02T15:04:05.999999", "2006-01-02 15:04:05.999999"))},
	"timestamptz": {"timestamptz", reflect.TypeFor[string](), asText(isTime("a time with its zone as 2026-01-31T12:00:00Z", time.RFC3339Nano))},
	"interval":    {"interval", reflect.TypeFor[string](), asText(isInterval)},
	"uuid":        {"uuid", reflect.TypeFor[string](), asText(isUUID)},
	"jsonb":       {"jsonb", reflect.TypeFor[any](), asDocument},
	"text[]":      {"text[]", reflect.TypeFor[[]string](), nil},
	"bigint[]":    {"bigint[]", reflect.TypeFor[[]int64](), nil},
}

func typeNames() []string { return slices.Sorted(maps.Keys(types)) }

// constant renders a value in JSON as a constant in SQL, in parentheses.
func (t paramType) constant(raw json.RawMessage) (string, error) {
	if element, isArray := strings.CutSuffix(t.sql, "[]"); isArray {
		return t.array(raw, types[element])
	}
	text, err := t.text(raw)
	if err != nil {
		return "", err
	}
	return "(" + literal(text) + "::" + t.sql + ")", nil
}

func (t paramType) array(raw json.RawMessage, element paramType) (string, error) {
	var values []json.RawMessage
	if err := json.Unmarshal(raw, &values); err != nil || values == nil {
		return "", errors.New("is not an array")
	}
	rendered := make([]string, len(values))
	for i, value := range values {
		text, err := element.text(value)
		if err != nil {
			return "", fmt.Errorf("has an element that %w", err)
		}
		rendered[i] = literal(text)
	}
	return "(ARRAY[" + strings.Join(rendered, ", ") + "]::" + t.sql + ")", nil
}

// literal quotes a text so that it is one constant whatever it holds, and
// whatever standard_conforming_strings is set to.
func literal(text string) string {
	quoted := strings.ReplaceAll(text, "'", "''")
	if strings.Contains(text, `\`) {
		return ` E'` + strings.ReplaceAll(quoted, `\`, `\\`) + "'"
	}
	return "'" + quoted + "'"
}

var errNoText = errors.New("has a zero byte, which PostgreSQL's text cannot hold")

// asText returns what reads a string that check, if there is one, finds right.
func asText(check func(string) error) func(json.RawMessage) (string, error) {
	return func(raw json.RawMessage) (string, error) {
		var value *string
		if err := json.Unmarshal(raw, &value); err != nil || value == nil {
			return "", errors.New("is not a string")
		}
		if strings.ContainsRune(*value, 0) {
			return "", errNoText
		}
		if check != nil {
			return *value, check(*value)
		}
		return *value, nil
	}
}

// asJSON returns what reads a value whose text in JSON is PostgreSQL's as well.
func asJSON[T any](what string) func(json.RawMessage) (string, error) {
	return func(raw json.RawMessage) (string, error) {
		var value *T
		if err := json.Unmarshal(raw, &value); err != nil || value == nil {
			return "", fmt.Errorf("is not %s", what)
		}
		text, err := json.Marshal(*value)
		return string(text), err
	}
}

// asNumber reads a number of any length, which may be written as a string.
func asNumber(raw json.RawMessage) (string, error) {
	var value *json.Number
	if err := json.Unmarshal(raw, &value); err != nil || value == nil || *value == "" {
		return "", errors.New("is not a number")
	}
	if _, err := strconv.ParseFloat(value.String(), 64); err != nil && !errors.Is(err, strconv.ErrRange) {
		return "", errors.New("is not a number")
	}
	return value.String(), nil
}

// asDocument reads any value in JSON but null.
func asDocument(raw json.RawMessage) (string, error) {
	var compact bytes.Buffer
	if err := json.Compact(&compact, raw); err != nil || !utf8.Valid(raw) {
		return "", errors.New("is not JSON")
	}
	if compact.String() == "null" {
		return "", errors.New("is null")
	}
	return compact.String(), nil
}

func isTime(what string, layouts ...string) func(string) error {
	return func(value string) error {
		for _, layout := range layouts {
			if _, err := time.Parse(layout, value); err == nil {
				return nil
			}
		}
		return fmt.Errorf("is not %s", what)
	}
}

func isInterval(value string) error {
	if strings.ContainsAny(value, "0123456789") {
		return nil // the rest PostgreSQL says when the migration starts
	}
	return errors.New("is not an interval as 3 days")
}

var uuidPattern = regexp.MustCompile(`^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$`)

func isUUID(value string) error {
	if uuidPattern.MatchString(value) {
		return nil
	}
	return errors.New("is not a uuid")
}
