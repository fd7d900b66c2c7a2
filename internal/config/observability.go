package config

import (
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"strings"
)

// Tracing says where OpenTelemetry spans go.
type Tracing struct {
	// Endpoint is the URL of a collector that takes OTLP over HTTP, such as
	// http://collector:4318; /v1/traces is added where it has no path. Empty
	// means what OTEL_EXPORTER_OTLP_ENDPOINT says, and nowhere without that.
	// Defaults to empty.
	Endpoint string `koanf:"endpoint"`
}

// Sentry says who is told of errors that somebody has to look at.
type Sentry struct {
	// DSN is what Sentry gives out for a project. SENTRY_DSN is taken where it
	// is empty. Empty means nobody is told. Defaults to empty.
	DSN Secret `koanf:"dsn"`

	// Environment is what Sentry calls so, such as staging. Empty means what
	// SENTRY_ENVIRONMENT says, else production. Defaults to empty.
	Environment string `koanf:"environment"`
}

// Secret is a text that is never shown. However it is printed, logged or marshalled, it
// is not there; only string(secret) has it.
type Secret string

// String returns nothing of the secret but whether there is one.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return masked
}

// GoString returns what String returns, quoted.
func (s Secret) GoString() string { return fmt.Sprintf("config.Secret(%q)", s.String()) }

// Format writes what String returns, whatever the verb.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, s.String()) }

// LogValue returns what String returns.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText returns what String returns, for JSON, YAML and TOML alike.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

func (v *validator) tracing() {
	endpoint := v.config.Tracing.Endpoint
	if endpoint == "" {
		return
	}
	u, err := url.Parse(endpoint)
	switch {
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		v.report("tracing.endpoint", refuse("it is not the http or https URL of a collector", "write http://collector:4318"))
	case u.User != nil:
		v.report("tracing.endpoint", refuse("it has a user or a password, which would be shown", "set OTEL_EXPORTER_OTLP_HEADERS=authorization=… in the environment"))
	}
}

func (v *validator) sentry() {
	dsn := string(v.config.Sentry.DSN)
	if dsn == "" {
		return
	}
	u, err := url.Parse(dsn)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User.Username() == "" || strings.Trim(u.Path, "/") == "" {
		v.report("sentry.dsn", refuse("it is not one that Sentry gives out", "write https://<key>@<host>/<project>; the project's settings have it under Client Keys"))
	}
}
