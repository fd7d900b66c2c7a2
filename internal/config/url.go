package config

import (
	"fmt"
	"io"
	"log/slog"
)

// URL is a PostgreSQL connection string, as URL or as key=value pairs, with
// its password. However it is printed, logged or marshalled, the password is
// not there; only string(url) has it.
type URL string

// String returns the connection string with its secrets masked. One that is
// not understood in full is masked in full.
func (u URL) String() string { return mask(string(u)) }

// GoString returns what String returns, quoted.
func (u URL) GoString() string { return fmt.Sprintf("config.URL(%q)", u.String()) }

// Format writes what String returns, whatever the verb.
func (u URL) Format(f fmt.State, verb rune) {
	switch {
	case verb == 'v' && f.Flag('#'):
		_, _ = io.WriteString(f, u.GoString())
	case verb == 'q':
		_, _ = fmt.Fprintf(f, "%q", u.String())
	default:
		_, _ = io.WriteString(f, u.String())
	}
}

// LogValue returns what String returns.
func (u URL) LogValue() slog.Value { return slog.StringValue(u.String()) }

// MarshalText returns what String returns, for JSON, YAML and TOML alike.
func (u URL) MarshalText() ([]byte, error) { return []byte(u.String()), nil }

var (
	_ fmt.Stringer   = URL("")
	_ fmt.GoStringer = URL("")
	_ fmt.Formatter  = URL("")
	_ slog.LogValuer = URL("")
)
