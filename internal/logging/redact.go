package logging

import (
	"log/slog"
	"net/url"
	"strings"

	"github.com/lmittmann/tint"

	"github.com/bbmd-dev/bbmd/internal/config"
)

// red is the terminal color of errors.
const red = 9

// replaceJSON masks secrets, tells the time in UTC, and durations with their unit.
func replaceJSON(groups []string, attr slog.Attr) slog.Attr {
	if attr.Key == slog.TimeKey && len(groups) == 0 && attr.Value.Kind() == slog.KindTime {
		attr.Value = slog.TimeValue(attr.Value.Time().UTC())
		return attr
	}
	if attr.Value.Kind() == slog.KindDuration {
		return slog.String(attr.Key, attr.Value.Duration().String())
	}
	attr, _ = redact(attr)
	return attr
}

// replaceText masks secrets, and colors errors.
func replaceText(_ []string, attr slog.Attr) slog.Attr {
	attr, isError := redact(attr)
	if isError {
		return tint.Attr(red, attr)
	}
	return attr
}

// redact masks the secrets in an attribute's text or error. Values that hide
// their own, like config.URL, have done so by then.
func redact(attr slog.Attr) (replaced slog.Attr, isError bool) {
	if isSecret(attr.Key) {
		return slog.String(attr.Key, "***"), false
	}
	switch attr.Value.Kind() {
	case slog.KindString:
		attr.Value = slog.StringValue(config.Redact(attr.Value.String()))
	case slog.KindAny:
		switch value := attr.Value.Any().(type) {
		case error:
			return slog.String(attr.Key, config.Redact(value.Error())), true
		case []byte:
			attr.Value = slog.StringValue(config.Redact(string(value)))
		case *url.URL:
			attr.Value = slog.StringValue(value.Redacted())
		case []string:
			attr.Value = slog.AnyValue(redactAll(value))
		}
	default: // numbers, times and booleans hold none
	}
	return attr, false
}

func redactAll(texts []string) []string {
	out := make([]string, len(texts))
	for i, text := range texts {
		out[i] = config.Redact(text)
	}
	return out
}

// isSecret reports whether a key says that its value is secret.
func isSecret(key string) bool {
	key = strings.ToLower(key)
	for _, word := range []string{"password", "passwd", "secret", "authorization", "dsn", "token"} {
		if strings.HasSuffix(key, word) {
			return true
		}
	}
	return false
}
