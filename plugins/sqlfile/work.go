package sqlfile

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/bbmd-dev/bbmd/registry"
)

// Work returns the Work that the file describes. A file of one statement becomes
// the form that needs one round trip for each batch.
func (f *File) Work() registry.Work {
	w := registry.Work{
		Name: f.Name, Version: f.Version, Summary: f.Summary,
		Arguments: f.arguments(), Accept: f.accept, Check: f.check,
	}
	if len(f.run) == 1 {
		w.SQL = func(m registry.Migration) (registry.Statement, error) { return f.bind(f.run[0], m.Arguments) }
	} else {
		w.Run = f.process
	}
	if f.verify != nil {
		w.Verify = f.count
	}
	return w
}

// bind fills the parameters of a statement in.
func (f *File) bind(s statement, arguments json.RawMessage) (registry.Statement, error) {
	constants, err := f.constants(arguments)
	if err != nil {
		return registry.Statement{}, err
	}
	bound, err := registry.ParseStatement(s.fill(constants))
	if err != nil {
		return bound, fmt.Errorf("statement of line %d: %w", s.line, err)
	}
	return bound, nil
}

// process runs the statements of a batch, one after another.
func (f *File) process(ctx context.Context, tx pgx.Tx, b registry.Batch) (registry.Result, error) {
	var result registry.Result
	for _, s := range f.run {
		bound, err := f.bind(s, b.Arguments)
		if err != nil {
			return registry.Result{}, err
		}
		text, err := render(bound, b.Key, b.First)
		if err != nil {
			return registry.Result{}, fmt.Errorf("statement of line %d: %w", s.line, err)
		}
		tag, err := tx.Exec(ctx, text, values(bound, b)...)
		if err != nil {
			return registry.Result{}, fmt.Errorf("statement of line %d: %w", s.line, err)
		}
		if !tag.Select() {
			result.Rows += tag.RowsAffected()
		}
	}
	return result, nil
}

// render returns a statement as it is sent. Without a key, which is the strategy
// "null", batches are rows by their address.
func render(s registry.Statement, key registry.Key, first bool) (string, error) {
	if len(key) == 0 {
		return s.BindRows()
	}
	return s.Bind(key, first)
}

// values returns the parameters of a rendered statement.
func values(s registry.Statement, b registry.Batch) []any {
	if b.Rows == "" && s.UsesStart() {
		b.After = b.Start // the inclusive bound that :start stands for
	}
	return b.Args()
}
