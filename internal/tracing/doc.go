// Package tracing sends OpenTelemetry spans to a collector, over OTLP and HTTP.
//
// It guarantees that nothing waits for a collector: spans are queued, sent in
// batches, and dropped where nobody takes them; and that the log hears once of an
// outage, and of its end. Where nothing is configured there is no tracer, and
// nothing is paid for one.
//
// It refuses to be global: neither the tracer nor its errors are OpenTelemetry's
// process-wide ones, since other programs embed the daemon.
package tracing
