package protocol

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"unicode/utf8"
)

// DecodeChild reads a line that a child wrote. What it returns is complete.
func DecodeChild(line []byte) (Child, error) {
	kind, err := kindOf(line)
	if err != nil {
		return nil, err
	}
	switch kind {
	case "hello":
		return decode[Hello](kind, line)
	case "query":
		return decode[Query](kind, line)
	case "exec":
		return decode[Exec](kind, line)
	case "done":
		return decode[Done](kind, line)
	case "fail":
		return decode[Fail](kind, line)
	case "unverifiable":
		return decode[Unverifiable](kind, line)
	case "log":
		return decode[Log](kind, line)
	default:
		return nil, fmt.Errorf("type %q is none of hello, query, exec, done, fail, unverifiable, log", clip(kind))
	}
}

// DecodeHost reads a line that bbmd wrote. What it returns is complete.
func DecodeHost(line []byte) (Host, error) {
	kind, err := kindOf(line)
	if err != nil {
		return nil, err
	}
	switch kind {
	case "init":
		return decode[Init](kind, line)
	case "batch":
		return decode[Batch](kind, line)
	case "verify":
		return decode[Verify](kind, line)
	case "check":
		return decode[Check](kind, line)
	case "rows":
		return decode[Rows](kind, line)
	case "ok":
		return decode[OK](kind, line)
	case "error":
		return decode[Error](kind, line)
	case "cancel":
		return decode[Cancel](kind, line)
	case "shutdown":
		return decode[Shutdown](kind, line)
	default:
		return nil, fmt.Errorf("type %q is none of init, batch, verify, check, rows, ok, error, cancel, shutdown", clip(kind))
	}
}

// kindOf reads the type of a line.
func kindOf(line []byte) (string, error) {
	if !utf8.Valid(line) {
		return "", errors.New("line is not UTF-8")
	}
	var head struct {
		Type *string `json:"type"`
	}
	if trimmed := bytes.TrimLeft(line, " \t\r\n"); len(trimmed) == 0 || trimmed[0] != '{' {
		return "", fmt.Errorf("line is not a JSON object, it begins %q: write nothing else to standard output, and messages for people to standard error", clip(string(line)))
	}
	if err := json.Unmarshal(line, &head); err != nil {
		return "", fmt.Errorf("line is not a JSON object: %w", err)
	}
	if head.Type == nil {
		return "", errors.New(`object has no "type"`)
	}
	return *head.Type, nil
}

// decode reads a message of a known type and checks that it is complete.
func decode[T interface{ check() error }](kind string, line []byte) (T, error) {
	var message T
	if err := json.Unmarshal(line, &message); err != nil {
		if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
			return message, fmt.Errorf("%s: %q is a %s and has to be a %s", kind, wrong.Field, wrong.Value, wanted(wrong))
		}
		return message, fmt.Errorf("%s: %w", kind, err)
	}
	if err := message.check(); err != nil {
		return message, fmt.Errorf("%s: %w", kind, err)
	}
	return message, nil
}

// wanted names a Go type in the words of JSON.
func wanted(e *json.UnmarshalTypeError) string {
	switch e.Type.String() {
	case "string", "*string":
		return "string: values are texts or null"
	case "bool":
		return "true or false"
	case "int", "int64", "uint32":
		return "whole number"
	default:
		return "different thing: see the protocol"
	}
}

// clip shortens what a message quotes.
func clip(s string) string {
	const limit = 60
	if len(s) <= limit {
		return s
	}
	return string(bytes.ToValidUTF8([]byte(s[:limit]), nil)) + "…"
}
