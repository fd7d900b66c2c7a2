package config

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// badValueError says what is wrong with one value; it becomes a [KeyError].
type badValueError struct{ reason, hint string }

func (e *badValueError) Error() string { return e.reason }

func refuse(reason, hint string) error { return &badValueError{reason: reason, hint: hint} }

// parse turns what a file, a variable or a flag holds into a value of type t.
// shown says how the value is quoted in an error.
func parse(t reflect.Type, raw any, shown string) (any, error) {
	switch t {
	case reflect.TypeFor[time.Duration]():
		return parseDuration(raw, shown)
	case reflect.TypeFor[slog.Level]():
		return parseLevel(raw, shown)
	case reflect.TypeFor[Object]():
		return parseObject(raw, shown)
	case reflect.TypeFor[Command]():
		return parseCommand(raw, shown)
	case reflect.TypeFor[Models]():
		return parseModels(raw, shown)
	case reflect.TypeFor[Profiles]():
		return parseProfiles(raw, shown)
	case reflect.TypeFor[Token]():
		return parseToken(raw)
	case reflect.TypeFor[Hosts]():
		return parseHosts(raw)
	}
	switch t.Kind() {
	case reflect.Bool:
		return parseBool(raw, shown)
	case reflect.Int:
		return parseInt(raw, shown)
	default:
		text, err := parseString(raw)
		return reflect.ValueOf(text).Convert(t).Interface(), err
	}
}

func parseDuration(raw any, shown string) (any, error) {
	if d, ok := raw.(time.Duration); ok {
		return d, nil
	}
	d, err := time.ParseDuration(strings.TrimSpace(fmt.Sprint(raw)))
	switch {
	case err != nil:
		return nil, refuse(shown+" is not a duration", "write a number and a unit, such as 500ms, 30s or 5m")
	case d < 0:
		return nil, refuse(shown+" is negative", "write a positive duration, such as 30s")
	}
	return d, nil
}

func parseLevel(raw any, shown string) (any, error) {
	switch strings.ToLower(strings.TrimSpace(fmt.Sprint(raw))) {
	case "debug":
		return slog.LevelDebug, nil
	case "info":
		return slog.LevelInfo, nil
	case "warn", "warning":
		return slog.LevelWarn, nil
	case "error":
		return slog.LevelError, nil
	}
	return nil, refuse(shown+" is not a level", "use debug, info, warn or error")
}

// parseObject accepts a mapping, and a text that is a JSON object.
func parseObject(raw any, shown string) (any, error) {
	if text, ok := raw.(string); ok {
		if strings.TrimSpace(text) == "" {
			return Object(""), nil
		}
		var object map[string]any
		if err := json.Unmarshal([]byte(text), &object); err != nil {
			return nil, refuse(shown+" is not a JSON object", `write one, such as {"duty": 0.5}, or a mapping in the file`)
		}
		raw = object
	}
	if object, ok := raw.(Object); ok {
		return object, nil
	}
	object, ok := raw.(map[string]any)
	if !ok {
		return nil, refuse(shown+" is not a mapping", "write its keys below it")
	}
	text, err := json.Marshal(object)
	if err != nil {
		return nil, refuse("a key in it is not text", "quote the key")
	}
	return Object(text), nil
}

func parseBool(raw any, shown string) (any, error) {
	switch strings.ToLower(strings.TrimSpace(fmt.Sprint(raw))) {
	case "true", "yes", "on", "1":
		return true, nil
	case "false", "no", "off", "0":
		return false, nil
	}
	return nil, refuse(shown+" is neither true nor false", "use true or false")
}

func parseInt(raw any, shown string) (any, error) {
	if f, ok := raw.(float64); ok && f == math.Trunc(f) && math.Abs(f) < math.MaxInt32 {
		return int(f), nil
	}
	n, err := strconv.Atoi(strings.TrimSpace(fmt.Sprint(raw)))
	if err != nil {
		return nil, refuse(shown+" is not a whole number", "write a number, such as 4")
	}
	return n, nil
}

// parseString accepts every scalar: YAML reads an unquoted 5432 or off as
// something else than the text it is meant to be.
func parseString(raw any) (string, error) {
	switch value := raw.(type) {
	case string:
		return value, nil
	case bool, int, int64, uint64, float64:
		return fmt.Sprint(value), nil
	default:
		return "", refuse("a list, a mapping or a date stands where text belongs", "write one value, in quotes")
	}
}

// text renders a value as the file would write it, secrets masked.
func text(v reflect.Value) string {
	switch value := v.Interface().(type) {
	case slog.Level:
		return strings.ToLower(value.String())
	case time.Duration:
		return shortDuration(value)
	default:
		return fmt.Sprint(value)
	}
}

// shortDuration renders 30m0s as 30m.
func shortDuration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

func sortedKeys(m reflect.Value) []string {
	names := make([]string, 0, m.Len())
	for _, key := range m.MapKeys() {
		names = append(names, key.String())
	}
	slices.Sort(names)
	return names
}
