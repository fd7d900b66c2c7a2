package config

import (
	"bytes"
	stdjson "encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"

	tomlv2 "github.com/pelletier/go-toml/v2"
	yamlv3 "go.yaml.in/yaml/v3"
)

// syntaxReason says where a file's syntax breaks and why, without quoting the
// file: what a parser quotes may be a password.
func syntaxReason(content []byte, err error) string {
	if e, ok := errors.AsType[*stdjson.SyntaxError](err); ok {
		return fmt.Sprintf("line %d: unexpected character or end", lineAt(content, e.Offset))
	}
	if _, ok := errors.AsType[*stdjson.UnmarshalTypeError](err); ok {
		return "the document is not an object"
	}
	if e, ok := errors.AsType[*tomlv2.DecodeError](err); ok {
		line, _ := e.Position()
		return fmt.Sprintf("line %d: %s", line, unquoted(strings.TrimPrefix(e.Error(), "toml: ")))
	}
	if e, ok := errors.AsType[*yamlv3.TypeError](err); ok {
		return unquoted(strings.ReplaceAll(strings.Join(e.Errors, ", "), "map[string]interface {}", "a mapping"))
	}
	switch text := err.Error(); {
	case strings.HasPrefix(text, "yaml: "):
		return unquoted(strings.TrimPrefix(text, "yaml: "))
	case strings.HasPrefix(text, "toml: "):
		return "a key or a table is there twice"
	case errors.Is(err, errDocuments):
		return text
	default:
		return "it cannot be parsed"
	}
}

func lineAt(content []byte, offset int64) int {
	offset = min(max(offset, 0), int64(len(content)))
	return 1 + bytes.Count(content[:offset], []byte("\n"))
}

// quotedText is what parsers quote of a document: text in quotes, and tags.
var quotedText = regexp.MustCompile("(?s)'.*'|`.*`|\".*\"|!\\S+")

func unquoted(reason string) string {
	return strings.Join(strings.Fields(quotedText.ReplaceAllString(reason, "…")), " ")
}
