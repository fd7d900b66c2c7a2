package executor

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/bbmd-dev/bbmd/internal/control"
)

// The names of spans, and of what they say. No span holds a statement's text or parameters,
// nor an error's message: these may be data.
const (
	spanReconcile = "reconcile"
	spanClaim     = "claim"
	spanBatch     = "batch"
	spanStatement = "statement"

	keyDatabase  = attribute.Key("bbmd.database")
	keyMigration = attribute.Key("bbmd.migration")
	keyWork      = attribute.Key("bbmd.work")
	keyOpen      = attribute.Key("bbmd.migrations")
	keyBegun     = attribute.Key("bbmd.workers_begun")
	keyJobs      = attribute.Key("bbmd.jobs")
	keyJob       = attribute.Key("bbmd.job.id")
	keyRange     = attribute.Key("bbmd.job.range")
	keyAttempt   = attribute.Key("bbmd.job.attempt")
	keySize      = attribute.Key("bbmd.batch.size")
	keyRows      = attribute.Key("bbmd.batch.rows")
	keyStatement = attribute.Key("bbmd.statement")
	keyOperation = attribute.Key("db.operation.name")
	keySQLState  = attribute.Key("db.response.status_code")
	keySystem    = attribute.Key("db.system.name")
)

// traceReconcile records a look that began then. The tracer is not nil.
func (e *Executor) traceReconcile(ctx context.Context, began time.Time, open, begun int, err error) {
	_, span := e.opts.Tracer.Start(ctx, spanReconcile, trace.WithNewRoot(), trace.WithTimestamp(began),
		trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(keySystem.String("postgresql"),
			keyDatabase.String(e.opts.Database), keyOpen.Int(open), keyBegun.Int(begun)))
	endSpan(span, time.Now(), err)
}

// claimed tells of a block claim.
func (w *worker) claimed(jobs int, took time.Duration) {
	w.opts.Observer.Claimed(w.candidate.Name, jobs, took)
	if w.log.Enabled(w.soft, slog.LevelDebug) {
		w.log.DebugContext(w.soft, "jobs claimed", "jobs", jobs, "took", took)
	}
	if w.opts.Tracer == nil {
		return
	}
	now := time.Now()
	_, span := w.opts.Tracer.Start(w.soft, spanClaim, trace.WithNewRoot(), trace.WithTimestamp(now.Add(-took)),
		trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(append(w.attributes(), keyJobs.Int(jobs))...))
	endSpan(span, now, nil)
}

func (w *worker) attributes() []attribute.KeyValue {
	return []attribute.KeyValue{
		keySystem.String("postgresql"), keyDatabase.String(w.opts.Database), keyMigration.String(w.candidate.Name), keyWork.String(w.work.Name),
	}
}

// beginSpan begins the span of a batch. The tracer is not nil.
func (w *worker) beginSpan(ctx context.Context, j *control.Job, began time.Time) (context.Context, trace.Span) {
	all := append(w.attributes(), keyJob.Int64(j.ID), keySize.Int64(int64(j.BatchSize)), keyAttempt.Int64(int64(max(j.Attempts, 1))))
	if w.target.identifying() {
		all = append(all, keyRange.String(rangeOf(j)))
	}
	return w.opts.Tracer.Start(ctx, spanBatch, trace.WithNewRoot(), trace.WithTimestamp(began),
		trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(all...))
}

// traceBatch records a pipelined batch and its two statements: when their
// answers came is in done. The tracer is not nil.
func (w *worker) traceBatch(ctx context.Context, j *control.Job, began, ended time.Time, done [2]time.Time, rows int64, err error) {
	ctx, span := w.beginSpan(ctx, j, began)
	for i, name := range []string{"fence", "work"} {
		if done[i].IsZero() {
			break
		}
		w.traceStatement(ctx, name, began, done[i], nil)
		began = done[i]
	}
	span.SetAttributes(keyRows.Int64(rows))
	endSpan(span, ended, err)
}

// mark notes when the answer to a statement of a batch came, where spans are recorded.
func (r *pipelined) mark(statement int) {
	if r.opts.Tracer != nil && statement < len(r.done) {
		r.done[statement] = time.Now()
	}
}

// trace records a batch whose answer has just come, where spans are recorded.
func (r *pipelined) trace(ctx context.Context, f flight, began time.Time, rows int64, err error) {
	if r.opts.Tracer == nil {
		return
	}
	r.traceBatch(ctx, f.job, began, r.last, r.done, rows, err)
	r.done = [2]time.Time{}
}

// traceStatement records what a batch, whose span is in ctx, has sent. The tracer is not nil.
func (w *worker) traceStatement(ctx context.Context, name string, began, ended time.Time, err error) {
	_, span := w.opts.Tracer.Start(ctx, spanStatement, trace.WithTimestamp(began), trace.WithSpanKind(trace.SpanKindClient),
		trace.WithAttributes(keySystem.String("postgresql"), keyStatement.String(name)))
	endSpan(span, ended, err)
}

// traceWork begins the span of a statement of a Work. The tracer is not nil.
func (h *handle) traceWork(ctx context.Context, sql string) (context.Context, trace.Span) {
	return h.tracer.Start(ctx, spanStatement, trace.WithSpanKind(trace.SpanKindClient),
		trace.WithAttributes(keySystem.String("postgresql"), keyStatement.String("work"), keyOperation.String(operation(sql))))
}

// endSpan ends a span, and says how of what it tells about has ended: by its SQLSTATE alone.
func endSpan(span trace.Span, at time.Time, err error) {
	if err != nil {
		state := "error"
		if pgErr, ok := errors.AsType[*pgconn.PgError](err); ok {
			state = pgErr.Code
			span.SetAttributes(keySQLState.String(state))
		}
		span.SetStatus(codes.Error, state)
	}
	span.End(trace.WithTimestamp(at))
}

// operation returns the first word of a statement, where it is one that says nothing of data.
func operation(sql string) string {
	word, _, _ := strings.Cut(strings.TrimSpace(sql), " ")
	switch word = strings.ToUpper(word); word {
	case "SELECT", "INSERT", "UPDATE", "DELETE", "MERGE", "WITH", "COPY", "CALL", "DO", "LOCK", "SET", "CREATE", "DROP", "ALTER", "TRUNCATE", "VALUES":
		return word
	default:
		return "OTHER"
	}
}
