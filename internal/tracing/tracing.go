package tracing

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// The environment variables of OpenTelemetry that switch tracing on and off. The
// others, such as OTEL_EXPORTER_OTLP_HEADERS, OTEL_TRACES_SAMPLER and
// OTEL_RESOURCE_ATTRIBUTES, are read by its own library.
const (
	endpointVariable       = "OTEL_EXPORTER_OTLP_ENDPOINT"
	tracesEndpointVariable = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"
	disabledVariable       = "OTEL_SDK_DISABLED"
)

// scope is the name under which spans are recorded.
const scope = "github.com/bbmd-dev/bbmd"

// tracesPath is where a collector takes spans.
const tracesPath = "/v1/traces"

// Options are what a [Provider] is made of.
type Options struct {
	// Endpoint is the URL of the collector. One without a path gets /v1/traces.
	// Empty: OTEL_EXPORTER_OTLP_ENDPOINT and its like say where.
	Endpoint string
	// Getenv reads an environment variable. Nil: there are none.
	Getenv func(name string) string
	// Version is bbmd's own.
	Version string
	// Logger hears when spans are lost. Required.
	Logger *slog.Logger
}

// Provider sends spans. A nil one has no tracer.
type Provider struct{ provider *sdktrace.TracerProvider }

// New returns a Provider, or nil when nothing says where spans should go. It
// connects to nobody yet. [Provider.Shutdown] has to follow.
func New(ctx context.Context, o Options) (*Provider, error) {
	getenv := o.Getenv
	if getenv == nil {
		getenv = func(string) string { return "" }
	}
	if strings.EqualFold(getenv(disabledVariable), "true") {
		return nil, nil //nolint:nilnil // nil is a Provider without a tracer
	}
	var to []otlptracehttp.Option
	switch {
	case o.Endpoint != "":
		endpoint, err := endpointURL(o.Endpoint)
		if err != nil {
			return nil, err
		}
		to = append(to, otlptracehttp.WithEndpointURL(endpoint))
	case getenv(endpointVariable) == "" && getenv(tracesEndpointVariable) == "":
		return nil, nil //nolint:nilnil // nil is a Provider without a tracer
	}
	exporter, err := otlptracehttp.New(ctx, to...)
	if err != nil {
		return nil, fmt.Errorf("export traces: %w", err)
	}
	about, err := resource.New(ctx, resource.WithTelemetrySDK(), resource.WithHost(),
		resource.WithAttributes(attribute.String("service.name", "bbmd"), attribute.String("service.version", o.Version)),
		resource.WithFromEnv()) // what the environment says wins
	if err != nil {
		o.Logger.WarnContext(ctx, "traces say less of where they come from", "error", err)
	}
	return &Provider{sdktrace.NewTracerProvider(sdktrace.WithResource(about),
		sdktrace.WithBatcher(&exporting{SpanExporter: exporter, log: o.Logger}))}, nil
}

// endpointURL returns where spans are posted to.
func endpointURL(endpoint string) (string, error) {
	u, err := url.Parse(endpoint)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil {
		return "", errors.New("tracing endpoint: it is not the http or https URL of a collector, without user and password; write http://collector:4318")
	}
	if strings.Trim(u.Path, "/") == "" {
		u.Path = tracesPath
	}
	return u.String(), nil
}

// Tracer returns the tracer, or nil where there is none.
func (p *Provider) Tracer() trace.Tracer {
	if p == nil {
		return nil
	}
	return p.provider.Tracer(scope)
}

// Shutdown sends what is left, for as long as ctx lasts, and ends.
func (p *Provider) Shutdown(ctx context.Context) error {
	if p == nil {
		return nil
	}
	if err := p.provider.Shutdown(ctx); err != nil {
		return fmt.Errorf("send the last traces: %w", err)
	}
	return nil
}

// exporting tells the log of an outage once, and nobody else.
type exporting struct {
	sdktrace.SpanExporter

	log     *slog.Logger
	failing bool // spans are exported by one goroutine at a time
}

// ExportSpans sends spans, and drops those that cannot be sent.
func (e *exporting) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	err := e.SpanExporter.ExportSpans(ctx, spans)
	switch {
	case err != nil && !e.failing:
		e.log.WarnContext(ctx, "traces not sent", "error", err, "spans", len(spans))
	case err == nil && e.failing:
		e.log.InfoContext(ctx, "traces sent again")
	}
	e.failing = err != nil
	return nil
}
