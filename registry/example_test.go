package registry_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/bbmd-dev/bbmd/registry"
)

// The smallest Work is a name and a function. A program registers it in an
// init function with [registry.Register].
func ExampleWork() {
	works := registry.New()
	err := works.Register(registry.Work{
		Name: "normalize_email",
		Run: func(ctx context.Context, tx pgx.Tx, b registry.Batch) (registry.Result, error) {
			tag, err := tx.Exec(ctx, "UPDATE users SET email_norm = lower(email) WHERE "+b.Where(), b.Args()...)
			return registry.Affected(tag), err
		},
	})
	fmt.Println(err)

	_, err = works.Lookup("normalise_email")
	fmt.Println(errors.Is(err, registry.ErrUnknownWork))
	fmt.Println(err)
	// Output:
	// <nil>
	// true
	// unknown work "normalise_email", did you mean "normalize_email"?: the migration waits until a bbmd that has it runs
}

// A Work in SQL is faster: it goes to the server together with the bookkeeping.
func ExampleWork_statement() {
	type arguments struct {
		Days int `json:"days"`
	}
	work := registry.Work{
		Name:      "archive_orders",
		Arguments: &arguments{},
		SQL: func(m registry.Migration) (registry.Statement, error) {
			args, err := registry.Decode[arguments](m.Arguments)
			if err != nil {
				return registry.Statement{}, err
			}
			return registry.ParseStatement(fmt.Sprintf(
				"UPDATE %s SET archived = true WHERE :range AND created_at < now() - interval '%d days'", m.Table, args.Days))
		},
	}
	fmt.Println(work.ValidateArguments([]byte(`{"day": 90}`)))

	statement, err := work.SQL(registry.Migration{Table: `"public"."orders"`, Arguments: []byte(`{"days": 90}`)})
	fmt.Println(err)
	fmt.Println(statement.Bind(registry.Key{{Name: "id", Type: "bigint"}}, false))
	// Output:
	// arguments of archive_orders: unknown argument "day", did you mean "days"? (it takes days)
	// <nil>
	// UPDATE "public"."orders" SET archived = true WHERE ("id" > $1::bigint AND "id" <= $2::bigint) AND created_at < now() - interval '90 days' <nil>
}

func ExampleParseStatement() {
	_, err := registry.ParseStatement("UPDATE users\nSET n = n + 1 WHERE :rnage")
	fmt.Println(err)
	// Output:
	// 2:21: unknown placeholder :rnage: the placeholders are :range, :start and :end, in lower case; put a space after a colon that is not one's
}
