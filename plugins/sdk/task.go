package sdk

import (
	"context"
	"errors"
	"fmt"

	"github.com/bbmd-dev/bbmd/plugins/process/protocol"
	"github.com/bbmd-dev/bbmd/registry"
)

// look returns the task's Work and migration.
func (s *server) look(t protocol.Task) (registry.Work, registry.Migration, error) {
	w, err := s.works.Lookup(t.Work)
	if err != nil {
		return w, registry.Migration{}, err
	}
	m := registry.Migration{Name: t.Migration, Table: t.Table, Arguments: t.Arguments}
	for _, c := range t.Key {
		m.Key = append(m.Key, registry.Column(c))
	}
	return w, m, w.ValidateArguments(t.Arguments)
}

// rangeOf returns the batch that a task is about.
func rangeOf(m registry.Migration, r protocol.Range) registry.Batch {
	return registry.Batch{
		Migration: m.Name, Table: m.Table, Key: m.Key, Arguments: m.Arguments,
		First: r.First, After: r.After, Start: r.Start, End: r.End, Rows: r.Rows,
	}
}

func (s *server) batch(ctx context.Context, tx *tx, t protocol.Batch) (protocol.Child, error) {
	w, m, err := s.look(t.Task)
	if err != nil {
		return nil, err
	}
	b := rangeOf(m, t.Range)
	b.Size, b.Attempt = t.Size, t.Attempt
	if w.SQL != nil {
		return statement(w, m, b, t)
	}
	result, err := w.Run(ctx, tx, b)
	return protocol.Done{ID: t.ID, Affected: &result.Rows, Statements: []protocol.Statement{}}, err
}

// statement answers with the statement of a Work in SQL.
func statement(w registry.Work, m registry.Migration, b registry.Batch, t protocol.Batch) (protocol.Child, error) {
	parsed, err := w.SQL(m)
	if err != nil {
		return nil, err
	}
	if parsed.UsesStart() {
		b.After = b.Start
	}
	var text string
	if b.Rows != "" {
		text, err = parsed.BindRows()
	} else {
		text, err = parsed.Bind(b.Key, b.First)
	}
	if err != nil {
		return nil, err
	}
	args, err := texts(b.Args())
	return protocol.Done{ID: t.ID, Statements: []protocol.Statement{{SQL: text, Args: args}}}, err
}

func (s *server) verify(ctx context.Context, tx *tx, t protocol.Verify) (protocol.Child, error) {
	w, m, err := s.look(t.Task)
	if err != nil {
		return nil, err
	}
	if w.Verify == nil {
		return nil, fmt.Errorf("%s has no Verify: set verify to false in the manifest", w.Name)
	}
	wrong, err := w.Verify(ctx, tx, rangeOf(m, t.Range))
	return protocol.Done{ID: t.ID, Wrong: wrong, Statements: []protocol.Statement{}}, err
}

func (s *server) check(ctx context.Context, tx *tx, t protocol.Check) (protocol.Child, error) {
	w, m, err := s.look(t.Task)
	if err != nil {
		return nil, err
	}
	if w.Check == nil {
		return nil, errors.New(w.Name + " has no Check: set check to false in the manifest")
	}
	return protocol.Done{ID: t.ID, Statements: []protocol.Statement{}}, w.Check(ctx, tx, m)
}
