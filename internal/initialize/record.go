package initialize

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/bbmd-dev/bbmd/internal/control"
)

// record writes what a run does into bbm.runs, on a connection of its own, so
// that it stays when the run's changes roll back, and also when the run's context has ended. Before
// [record.begin] it only passes on what is said.
type record struct {
	spec   Spec
	store  control.Store
	logger *slog.Logger

	mu      sync.Mutex // what programs print comes from other goroutines
	conn    *pgx.Conn
	run     int64 // 0: it has not begun
	began   time.Time
	step    Planned // the one that is being done
	ordinal int32   // its number, from 1
	running bool
	since   time.Time
	done    []Done
	unsaid  bytes.Buffer // of the log: not written yet
	said    time.Time    // when the log was written
	line    []byte       // of a program's output: not whole yet
}

// recordTimeout bounds one statement, which is about one row.
const recordTimeout = 20 * time.Second

// sayEvery is how often what programs print is written at most; the rest follows
// with the next step, or at the end.
const sayEvery = time.Second

func newRecord(s Spec) *record {
	return &record{spec: s, store: s.store(), logger: s.logger(), began: time.Now()}
}

// open connects.
func (r *record) open(ctx context.Context) error {
	conn, err := r.spec.open(ctx)
	if err == nil {
		r.conn = conn
	}
	return err
}

func (r *record) close(ctx context.Context) {
	if r.conn != nil {
		hangUp(ctx, r.conn)
	}
}

// write writes, once more on a new connection when the old one was lost.
func (r *record) write(ctx context.Context, what func(context.Context, *pgx.Conn) error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordTimeout)
	defer cancel()
	err := what(ctx, r.conn)
	if err == nil || !r.conn.IsClosed() {
		return err
	}
	if err := r.open(ctx); err != nil {
		return err
	}
	return what(ctx, r.conn)
}

// begin records the beginning of a run.
func (r *record) begin(ctx context.Context, f Finding, action Action, reason string, pinned *pgx.Conn) error {
	plan, err := json.Marshal(f.Plan)
	if err != nil {
		return fmt.Errorf("encode plan: %w", err)
	}
	start := control.RunStart{
		Action: string(action), StateBefore: string(f.State), Tool: string(f.Tool), Reason: reason, From: f.Current, To: f.Target,
		Plan: plan, Host: hostname(), Version: r.spec.Version, BackendPID: pinned.PgConn().PID(),
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, recordTimeout)
	defer cancel()
	r.run, err = r.store.BeginRun(ctx, r.conn, start) // once: a second row would be a second run
	r.said = time.Now()
	return err
}

// hostname is what this machine, or container, calls itself.
func hostname() string {
	name, err := os.Hostname()
	if err != nil {
		return "unknown"
	}
	return name
}

// note says something to people, in the log and in bbm.runs.
func (r *record) note(ctx context.Context, format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	r.logger.InfoContext(ctx, "note", "run", r.run, "text", text)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.unsaid.WriteString(text + "\n")
	r.sayAtTimes(ctx)
}

// sayAtTimes writes the log when that was some time ago. What cannot be written now is
// written with the next step, or missing.
func (r *record) sayAtTimes(ctx context.Context) {
	if time.Since(r.said) > sayEvery {
		_ = r.say(ctx)
	}
}

// Write takes what programs print. It never returns an error.
func (r *record) Write(text []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.unsaid.Write(text)
	r.pass(text)
	r.sayAtTimes(context.Background())
	return len(text), nil
}

// pass shows what programs print to whoever looks on.
func (r *record) pass(text []byte) {
	if r.spec.Output != nil {
		_, _ = r.spec.Output.Write(text) // nobody is there any more
		return
	}
	r.line = append(r.line, text...)
	for {
		line, rest, whole := bytes.Cut(r.line, []byte("\n"))
		if !whole {
			return
		}
		r.logger.Info("output", "run", r.run, "text", string(line))
		r.line = rest
	}
}

// say writes the log that is not written yet.
func (r *record) say(ctx context.Context) error {
	if r.run == 0 || r.unsaid.Len() == 0 {
		return nil
	}
	r.said = time.Now()
	text := bytes.ToValidUTF8(bytes.ReplaceAll(r.unsaid.Bytes(), []byte{0}, nil), []byte("?"))
	err := r.write(ctx, func(ctx context.Context, db *pgx.Conn) error { return r.store.LogRun(ctx, db, r.run, string(text)) })
	if err == nil {
		r.unsaid.Reset()
	}
	return err
}

// end records how the run ended. It returns the run's error, and its own.
func (r *record) end(ctx context.Context, to []string, failed error) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.unsaid.WriteString(statementOf(failed))
	err := r.say(ctx)
	if failed == nil {
		return errors.Join(err, r.write(ctx, func(ctx context.Context, db *pgx.Conn) error { return r.store.FinishRun(ctx, db, r.run, to) }))
	}
	why, record := failureOf(failed), r.store.FailRun
	if ctx.Err() != nil && KindOf(failed) == KindTransient { // nobody's fault: the next run goes on
		record = r.store.InterruptRun
	}
	return errors.Join(failed, err, r.write(ctx, func(ctx context.Context, db *pgx.Conn) error { return record(ctx, db, r.run, why) }))
}
