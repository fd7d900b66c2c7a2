package sdk_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/bbmd-dev/bbmd/plugins/process/protocol"
	"github.com/bbmd-dev/bbmd/plugins/sdk"
	"github.com/bbmd-dev/bbmd/registry"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// conversation is bbmd's side of a program that is served in this process.
type conversation struct {
	t     *testing.T
	to    *io.PipeWriter
	lines *bufio.Scanner
	ended chan error
}

func converse(t *testing.T, works ...registry.Work) *conversation {
	t.Helper()
	in, to := io.Pipe()
	from, out := io.Pipe()
	c := &conversation{t: t, to: to, lines: bufio.NewScanner(from), ended: make(chan error, 1)}
	go func() {
		c.ended <- sdk.ServeOn(in, out, "p", "1", works...)
		_ = out.Close()
	}()
	c.say(protocol.Init{Protocol: 1})
	require.Equal(t, "hello", c.hear()["type"])
	t.Cleanup(func() {
		_ = to.Close()
		_ = from.Close() // it may be writing what a failed test does not hear
		select {
		case err := <-c.ended:
			require.NoError(t, err)
		case <-time.After(time.Minute):
			t.Error("it does not end with its input")
		}
	})
	return c
}

func (c *conversation) say(m protocol.Host) {
	c.t.Helper()
	line, err := protocol.EncodeHost(m)
	require.NoError(c.t, err)
	_, err = c.to.Write(line)
	require.NoError(c.t, err)
}

func (c *conversation) hear() map[string]any {
	c.t.Helper()
	require.True(c.t, c.lines.Scan(), "it says nothing more")
	var message map[string]any
	require.NoError(c.t, json.Unmarshal(c.lines.Bytes(), &message))
	return message
}

func batch(id int64) protocol.Batch {
	return protocol.Batch{
		Task:  protocol.Task{ID: id, Work: "w", Table: "t", Key: []protocol.Column{{Name: "id", Type: "bigint"}}, Arguments: json.RawMessage("{}")},
		Range: protocol.Range{After: "1", Start: "2", End: "9"},
	}
}

// work makes a Work of a function.
func work(run func(ctx context.Context, tx pgx.Tx) error) registry.Work {
	return registry.Work{Name: "w", Run: func(ctx context.Context, tx pgx.Tx, _ registry.Batch) (registry.Result, error) {
		return registry.Result{Rows: 1}, run(ctx, tx)
	}}
}

func TestStatementTravelsWithTheAnswer(t *testing.T) {
	t.Parallel()
	for text, start := range map[string]string{"DELETE FROM t WHERE :range": "1", "DELETE FROM t WHERE id BETWEEN :start AND :end": "2"} {
		c := converse(t, registry.Work{Name: "w", SQL: func(registry.Migration) (registry.Statement, error) { return registry.ParseStatement(text) }})
		c.say(batch(1))
		done := c.hear()
		require.Equal(t, "done", done["type"])
		statements, ok := done["statements"].([]any)
		require.True(t, ok)
		require.Len(t, statements, 1)
		statement, ok := statements[0].(map[string]any)
		require.True(t, ok)
		require.Contains(t, statement["sql"], "$1::bigint")
		require.Equal(t, []any{start, "9"}, statement["args"])
	}
}

func TestValuesBothWays(t *testing.T) {
	t.Parallel()
	type named string
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	var ids []int64
	var note *string
	var when time.Time
	var asMap map[string]any
	c := converse(t, work(func(ctx context.Context, tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "x", 7, int64(-8), 1.5, true, "text", nil, []int64{1, 2}, []string{"a", `b"`}, at,
			json.RawMessage(`{"a":1}`), map[string]int{"b": 2}, named("n"), (*string)(nil)); err != nil {
			return err
		}
		return tx.QueryRow(ctx, "y", pgx.QueryResultFormats{1}, pgx.NamedArgs{}).Scan(&ids, &note, &when, &asMap)
	}))
	c.say(batch(1))
	exec := c.hear()
	require.Equal(t, []any{"7", "-8", "1.5", "t", "text", nil, "{1,2}", `{a,"b\""}`, "2026-01-02 03:04:05Z", `{"a":1}`, `{"b":2}`, "n", nil}, exec["args"])
	c.say(protocol.OK{ID: 1, Seq: 1, Affected: 3})
	query := c.hear()
	require.Equal(t, "query", query["type"])
	one, two, three := "{3,4}", "2026-01-02 03:04:05+00", `{"k":[1]}`
	c.say(protocol.Rows{
		ID: 1, Seq: 2, Columns: []protocol.ResultColumn{{Name: "a", OID: 1016}, {Name: "b", OID: 25}, {Name: "c", OID: 1184}, {Name: "d", OID: 3802}},
		Rows: [][]*string{{&one, nil, &two, &three}},
	})
	require.EqualValues(t, 1, c.hear()["affected"])
	require.Equal(t, []int64{3, 4}, ids)
	require.Nil(t, note)
	require.True(t, at.Equal(when))
	require.Equal(t, map[string]any{"k": []any{1.0}}, asMap)
}

func TestErrors(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		run       func(ctx context.Context, tx pgx.Tx) error
		says      string
		retryable bool
	}{
		"plain":  {run: func(context.Context, pgx.Tx) error { return errors.New("no") }, says: "no"},
		"retry":  {run: func(context.Context, pgx.Tx) error { return fmt.Errorf("503: %w", sdk.ErrRetry) }, says: "503", retryable: true},
		"panic":  {run: func(context.Context, pgx.Tx) error { panic("oh") }, says: "panicked: oh"},
		"commit": {run: func(ctx context.Context, tx pgx.Tx) error { return tx.Commit(ctx) }, says: "belongs to the batch"},
		"begin": {run: func(ctx context.Context, tx pgx.Tx) error {
			_, err := tx.Begin(ctx)
			return err
		}, says: "not possible in a process plugin"},
		"batch": {run: func(ctx context.Context, tx pgx.Tx) error { return tx.SendBatch(ctx, nil).Close() }, says: "not possible"},
		"value": {run: func(ctx context.Context, tx pgx.Tx) error {
			_, err := tx.Exec(ctx, "x", make(chan int))
			return err
		}, says: "argument $1: a chan int has no text"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := converse(t, work(test.run))
			c.say(batch(1))
			fail := c.hear()
			require.Equal(t, "fail", fail["type"])
			require.Contains(t, fail["message"], test.says)
			require.Equal(t, test.retryable, fail["retryable"])
		})
	}
}

func TestErrorOfAStatementIsPostgreSQLs(t *testing.T) {
	t.Parallel()
	c := converse(t, work(func(ctx context.Context, tx pgx.Tx) error {
		rows, err := tx.Query(ctx, "x")
		rows.Close()
		var pgErr *pgconn.PgError
		if !errors.As(err, &pgErr) || pgErr.Code != "23505" || pgErr.Detail != "d" {
			return fmt.Errorf("not PostgreSQL's: %w", err)
		}
		return errors.New("as expected")
	}))
	c.say(batch(1))
	require.Equal(t, []any{}, c.hear()["args"])
	detail := "d"
	c.say(protocol.Error{ID: 1, Seq: 1, Code: "23505", Message: "m", Detail: &detail})
	require.Equal(t, "as expected", c.hear()["message"])
}

func TestCancelEndsATaskAndTheNextBegins(t *testing.T) {
	t.Parallel()
	c := converse(t, work(func(ctx context.Context, tx pgx.Tx) error {
		_, err := tx.Exec(ctx, "x")
		return err
	}))
	c.say(batch(1))
	c.hear()
	c.say(protocol.Cancel{ID: 1})
	require.Contains(t, c.hear()["message"], "context canceled")
	c.say(protocol.OK{ID: 1, Seq: 1}) // too late
	c.say(batch(2))
	require.EqualValues(t, 2, c.hear()["id"])
	c.say(protocol.OK{ID: 2, Seq: 1})
	require.Equal(t, "done", c.hear()["type"])
}

func TestVerifyAndCheck(t *testing.T) {
	t.Parallel()
	w := work(func(context.Context, pgx.Tx) error { return nil })
	w.Check = func(context.Context, registry.Querier, registry.Migration) error { return errors.New("no column") }
	w.Verify = func(_ context.Context, _ registry.Querier, b registry.Batch) (int64, error) {
		if b.First {
			return 0, fmt.Errorf("%w: nothing to see", registry.ErrUnverifiable)
		}
		return 4, nil
	}
	c := converse(t, w)
	b := batch(1)
	c.say(protocol.Check{Task: b.Task})
	require.Equal(t, "no column", c.hear()["message"])
	c.say(protocol.Verify{Task: b.Task, Range: b.Range})
	require.EqualValues(t, 4, c.hear()["wrong"])
	b.First = true
	c.say(protocol.Verify{Task: b.Task, Range: b.Range})
	require.Equal(t, "unverifiable", c.hear()["type"])
}

func TestRefusesAnotherProtocol(t *testing.T) {
	t.Parallel()
	in := bytes.NewBufferString(`{"type":"init","protocol":2}` + "\n")
	err := sdk.ServeOn(in, io.Discard, "p", "1", work(nil))
	require.ErrorContains(t, err, "bbmd speaks protocol 2 and this program 1")
	require.ErrorContains(t, sdk.ServeOn(bytes.NewBufferString("x\n"), io.Discard, "p", "1"), "not a JSON object")
	require.ErrorContains(t, sdk.ServeOn(in, io.Discard, "p", "1", registry.Work{Name: "w"}), "exactly one of Run and SQL")
}
