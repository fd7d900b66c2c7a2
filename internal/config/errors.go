package config

import (
	"regexp"
	"strconv"
	"strings"
)

// KeyError is one thing that is wrong with a configuration. [Load] returns all
// of them joined; errors.As finds the first.
type KeyError struct {
	// Key is the setting, such as log.level, or the file or the environment
	// variable if no setting is concerned.
	Key string
	// Source is where the value came from; empty where Key says it.
	Source string
	// Reason is what is wrong.
	Reason string
	// Hint is the way out.
	Hint string
}

// Error returns "key (source): reason; hint" on one line.
func (e *KeyError) Error() string {
	var b strings.Builder
	b.WriteString(e.Key)
	if e.Source != "" {
		b.WriteString(" (" + e.Source + ")")
	}
	b.WriteString(": " + e.Reason)
	if e.Hint != "" {
		b.WriteString("; " + e.Hint)
	}
	return b.String()
}

// plainWord is what an error may quote: long enough for every name and number
// that belongs into a configuration, too poor for a connection string.
var plainWord = regexp.MustCompile(`^[A-Za-z0-9_.+:-]{1,40}$`)

// quote renders a key or a value for an error. What is not a plain word could
// hold a secret, and is not shown.
func quote(word string) string {
	if !plainWord.MatchString(word) {
		return "a value that is not shown"
	}
	return strconv.Quote(word)
}
