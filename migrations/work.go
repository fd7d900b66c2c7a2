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
	// verification returns a statement whose one value is how many rows of a range
	// are not as the Work leaves them, or an error that wraps
	// [registry.ErrUnverifiable].
	verification(ctx context.Context, db registry.Querier, m registry.Migration) (registry.Statement, error)
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
		Verify: func(ctx context.Context, db registry.Querier, b registry.Batch) (int64, error) {
			args, err := registry.Decode[T](b.Arguments)
			if err != nil {
				return 0, err
			}
			return verify(ctx, db, b, args)
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
	if err := plan(ctx, db, m, statement, args); err != nil {
		return fmt.Errorf("plan the statement: %w", err)
	}
	return checkVerification(ctx, db, m, args)
}

// checkVerification finds what would keep the finish from being verified, which
// is late to be told of a mistake.
func checkVerification(ctx context.Context, db registry.Querier, m registry.Migration, args arguments) error {
	if len(m.Key) == 0 {
		return nil // the strategy "null": its predicate says when it is done
	}
	statement, err := args.verification(ctx, db, m)
	if errors.Is(err, registry.ErrUnverifiable) {
		return nil
	}
	if err == nil {
		err = plan(ctx, db, m, statement, args)
	}
	if err != nil {
		return fmt.Errorf("plan the verification: %w", err)
	}
	return nil
}

// bind renders a statement as its batches run it, and counts its parameters. Without a
// key, which is the strategy "null", batches are rows by their address.
func bind(statement registry.Statement, key registry.Key) (bound string, parameters int, err error) {
	if len(key) == 0 {
		bound, err = statement.BindRows()
		return bound, 1, err
	}
	bound, err = statement.Bind(key, false)
	return bound, 2 * len(key), err
}

// plan lets PostgreSQL plan a statement without running it.
func plan(ctx context.Context, db registry.Querier, m registry.Migration, statement registry.Statement, args arguments) error {
	bound, parameters, err := bind(statement, m.Key)
	if err != nil {
		return err
	}
	err = explain(ctx, db, bound, make([]any, parameters)...)
	refused, ok := errors.AsType[*pgconn.PgError](err)
	switch {
	case err == nil:
		return nil
	case !ok:
		return err
	}
	hint := args.hint(refused)
	if hint == "" {
		hint = refused.Hint
	}
	if hint != "" {
		hint = ": " + hint
	}
	return fmt.Errorf("%w%s", err, hint)
}

// explain returns why PostgreSQL refuses to plan a statement, nil if it does not.
func explain(ctx context.Context, db registry.Querier, text string, args ...any) error {
	rows, err := db.Query(ctx, "EXPLAIN (COSTS OFF) "+text, args...)
	if err != nil {
		return err
	}
	rows.Close()
	return rows.Err()
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
