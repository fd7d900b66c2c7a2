package config

import (
	"regexp"
	"strings"
)

// linkText finds connection strings with a user part in running text: up to
// the last '@' of the line, since a password may hold anything before it.
var linkText = regexp.MustCompile(`[A-Za-z][A-Za-z0-9+.-]*://[^\n]*@[^\s"'<>` + "`" + `]*|postgres(?:ql)?://[^\s"'<>` + "`" + `]*`)

// assignText finds key=value and "key": "value" secrets in running text. A
// value without quotes ends at a space.
var assignText = regexp.MustCompile(`(?i)\b([a-z_]*(?:password|passwd|secret)[a-z_]*"?\s*[=:]\s*)('(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|\S+)`)

// Redact returns text with the passwords of connection strings in it masked.
// It is the last line, for text from elsewhere (a driver's error, a command's
// output): it masks too much rather than too little.
func Redact(text string) string {
	if strings.Contains(text, "://") {
		text = linkText.ReplaceAllStringFunc(text, redactLink)
	}
	return assignText.ReplaceAllString(text, "${1}"+masked)
}

// redactLink masks one URL of any scheme.
func redactLink(link string) string {
	scheme, rest, _ := strings.Cut(link, "://")
	shown, _, ok := openURL(rest)
	if !ok {
		shown = masked
	}
	if user, host, found := strings.Cut(shown, "@"); found && strings.HasPrefix(strings.ToLower(scheme), "http") && !strings.Contains(user, ":") {
		shown = masked + "@" + host // it is a key, as in Sentry's DSN
	}
	return scheme + "://" + shown
}
