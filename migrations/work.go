package migrations

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/bbmd-dev/bbmd/registry"
)

// arguments are one Work's arguments, which know what they ask for.
type arguments interface {
	// Validate is asked when the migration is enqueued.
	Validate() error
	// statement returns what processes a batch.
	statement(m registry.Migration) (registry.Statement, error)
	// check returns what is missing, for all that planning the statement would
	// not say as well.
	check(ctx context.Context, db registry.Querier, m registry.Migration) error
	// hint returns what to do about an error that planning the statement gave,
	// or "".
	hint(err *pgconn.PgError) string
}

// work returns the Work whose arguments are of type T.
func work[T arguments](name, summary string) registry.Work {
	return registry.Work{
		Name:      name,
		Summary:   summary,
		Arguments: new(T),
		SQL: func(m registry.Migration) (registry.Statement, error) {
			args, err := registry.Decode[T](m.Arguments)
			if err != nil {
				return registry.Statement{}, err
			}
			return args.statement(m)
		},
		Check: func(ctx context.Context, db registry.Querier, m registry.Migration) error {
			args, err := registry.Decode[T](m.Arguments)
			if err != nil {
				return err
			}
			return check(ctx, db, m, args)
		},
	}
}

// check returns what keeps a migration from starting.
func check(ctx context.Context, db registry.Querier, m registry.Migration, args arguments) error {
	statement, err := args.statement(m)
	if err != nil {
		return err
	}
	for _, column := range m.Key {
		if statement.Assigns(m.Table, column.Name) {
			return keyError(column.Name)
		}
	}
	if err := args.check(ctx, db, m); err != nil {
		return err
	}
	return plan(ctx, db, m, statement, args)
}

// plan lets PostgreSQL plan the statement without running it.
func plan(ctx context.Context, db registry.Querier, m registry.Migration, statement registry.Statement, args arguments) error {
	bound, err := statement.Bind(m.Key, false)
	if err != nil {
		return err
	}
	rows, err := db.Query(ctx, "EXPLAIN (COSTS OFF) "+bound, make([]any, 2*len(m.Key))...)
	if err == nil {
		rows.Close()
		err = rows.Err()
	}
	refused, ok := errors.AsType[*pgconn.PgError](err)
	switch {
	case err == nil:
		return nil
	case !ok:
		return fmt.Errorf("plan the statement: %w", err)
	}
	hint := args.hint(refused)
	if hint == "" {
		hint = refused.Hint
	}
	if hint != "" {
		hint = ": " + hint
	}
	return fmt.Errorf("plan the statement: %w%s", err, hint)
}

// keyError refuses what would move rows past the batches.
func keyError(column string) error {
	return fmt.Errorf("column %q belongs to the key that the batches walk along, and a row whose key changes may be processed twice or never: write to another column", column)
}

// requireText refuses an argument that is not given or blank.
func requireText(name, value string) error {
	if strings.TrimSpace(value) == "" {
		return fmt.Errorf("argument %q is missing", name)
	}
	return nil
}

// requireExpression refuses an argument that is not one SQL expression.
func requireExpression(name, value string) error {
	if err := registry.CheckExpression(value); err != nil {
		return fmt.Errorf("argument %q: %w", name, err)
	}
	return nil
}

// join makes one line of everything that is wrong.
func join(problems ...error) error {
	var lines []string
	for _, problem := range problems {
		if problem != nil {
			lines = append(lines, problem.Error())
		}
	}
	if len(lines) == 0 {
		return nil
	}
	return errors.New(strings.Join(lines, "; "))
}

// parenthesized keeps an expression together.
func parenthesized(expression string) string { return "(" + closable(expression) + ")" }

// closable returns the text so that a parenthesis behind it closes it, even
// where it ends in a comment.
func closable(text string) string {
	if strings.Contains(text, "--") {
		return text + "\n"
	}
	return text
}
