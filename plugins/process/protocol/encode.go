package protocol

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// EncodeHost renders a message of bbmd as a line, its end included.
func EncodeHost(m Host) ([]byte, error) { return encode(m.fromHost(), m) }

// EncodeChild renders a message of a child as a line, its end included.
func EncodeChild(m Child) ([]byte, error) { return encode(m.fromChild(), m) }

// encode puts the type in front of the message's own fields.
func encode(kind string, m any) ([]byte, error) {
	var line bytes.Buffer
	fmt.Fprintf(&line, `{"type":%q`, kind)
	head := line.Len()
	encoder := json.NewEncoder(&line) // writes the end of the line as well
	encoder.SetEscapeHTML(false)      // SQL is full of < and >
	if err := encoder.Encode(m); err != nil {
		return nil, fmt.Errorf("encode %s: %w", kind, err)
	}
	text := line.Bytes()
	if text[head+1] == '}' {
		return append(text[:head], "}\n"...), nil
	}
	text[head] = ',' // instead of the brace that opens the message
	return text, nil
}
