package migrations

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/bbmd-dev/bbmd/registry"
)

func (a copyRows) check(ctx context.Context, db registry.Querier, m registry.Migration) error {
	from, to, err := a.tables(ctx, db, m)
	if err != nil {
		return err
	}
	same, err := from.same(ctx, db, to)
	switch {
	case err != nil:
		return err
	case same:
		return errors.New(`argument "to" is the migration's own table: rows that are copied would be copied again`)
	}
	if err := join(a.checkColumns(from, to), to.requireFilled(a.Columns.names())); err != nil {
		return err
	}
	return a.checkConflict(ctx, db, from, to)
}

// checkColumns refuses columns that are not there, or cannot be written.
func (a copyRows) checkColumns(from, to table) error {
	var problems []error
	for _, c := range a.Columns {
		problems = append(problems, to.requireWritable(c.Name))
		if c.Expression == "" {
			problems = append(problems, from.requireColumn(c.Name))
		}
	}
	return join(problems...)
}

// requireFilled refuses to leave out a column that needs a value.
func (t table) requireFilled(names []string) error {
	var problems []error
	for _, c := range t.columns {
		if c.NotNull && !c.Filled && !slices.Contains(names, c.Name) {
			problems = append(problems, fmt.Errorf("column %q of %s is NOT NULL without a default: give it a value in \"columns\"", c.Name, t.name))
		}
	}
	return join(problems...)
}

// checkConflict refuses what would let it depend on the batches which of two
// rows is the one that arrives.
func (a copyRows) checkConflict(ctx context.Context, db registry.Querier, from, to table) error {
	var sources []string
	for _, name := range a.Conflict {
		target, err := to.column(name)
		if err != nil {
			return err
		}
		if !target.NotNull {
			return fmt.Errorf(`argument "conflict": column %q of %s may be NULL, and NULL conflicts with nothing, so that rows could arrive twice: declare it NOT NULL`, name, to.name)
		}
		c, _ := a.Columns.source(name)
		source, plain := c.sourceColumn(from)
		if !plain {
			return nil // whether expressions differ from row to row is their author's to know
		}
		sources = append(sources, source)
	}
	unique, err := from.unique(ctx, db, sources)
	if err != nil || unique {
		return err
	}
	return fmt.Errorf(`argument "conflict": %s has no unique index on NOT NULL columns among (%s), so that two of its rows could be the same one in %s: copy columns that tell its rows apart`,
		from.name, strings.Join(sources, ", "), to.name)
}
