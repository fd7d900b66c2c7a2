package migrations_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/registry"
)

func TestStatements(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ work, arguments, want string }{
		"execute_sql": {
			"execute_sql", `{"sql": "UPDATE items SET n = n + 1 WHERE :range;"}`,
			`UPDATE items SET n = n + 1 WHERE ("id" > $1::bigint AND "id" <= $2::bigint);`,
		},
		"execute_sql between": {
			"execute_sql", `{"sql": "UPDATE items SET n = n + 1 WHERE id BETWEEN :start AND :end"}`,
			`UPDATE items SET n = n + 1 WHERE id BETWEEN ($1::bigint) AND ($2::bigint)`,
		},
		"backfill_column": {
			"backfill_column", `{"column": "n", "expression": "length(note)"}`,
			`UPDATE "public"."items" SET "n" = (length(note)) WHERE ("id" > $1::bigint AND "id" <= $2::bigint)`,
		},
		"backfill_column with everything": {
			"backfill_column", `{"column": "The \"N\"", "expression": "1 -- one", "where": "a OR b", "skip_equal": true}`,
			"UPDATE \"public\".\"items\" SET \"The \"\"N\"\"\" = (1 -- one\n) WHERE (\"id\" > $1::bigint AND \"id\" <= $2::bigint) AND (a OR b) AND \"The \"\"N\"\"\" IS DISTINCT FROM (1 -- one\n)",
		},
		"copy_column": {
			"copy_column", `{"from": "A b", "to": "c"}`,
			`UPDATE "public"."items" SET "c" = "A b" WHERE ("id" > $1::bigint AND "id" <= $2::bigint)`,
		},
		"copy_column with everything": {
			"copy_column", `{"from": "a", "to": "c", "cast": "numeric(10, 2)", "skip_equal": true}`,
			`UPDATE "public"."items" SET "c" = CAST("a" AS numeric(10, 2)) WHERE ("id" > $1::bigint AND "id" <= $2::bigint) AND "c" IS DISTINCT FROM CAST("a" AS numeric(10, 2))`,
		},
		"delete_rows": {
			"delete_rows", `{"where": "created_at < now() - interval '90 days' OR ':range' = note"}`,
			`DELETE FROM "public"."items" WHERE ("id" > $1::bigint AND "id" <= $2::bigint) AND (created_at < now() - interval '90 days' OR ':range' = note)`,
		},
		"delete_rows all": {
			"delete_rows", `{"all": true}`,
			`DELETE FROM "public"."items" WHERE ("id" > $1::bigint AND "id" <= $2::bigint)`,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, _ := bind(t, test.work, migration(test.arguments), false)
			require.Equal(t, test.want, got)
		})
	}
}

func TestArgumentsRefused(t *testing.T) {
	t.Parallel()
	tests := []struct{ work, arguments, want string }{
		{"execute_sql", `{}`, `arguments of execute_sql: argument "sql" is missing`},
		{"execute_sql", `{"sql": "UPDATE t SET n = 1"}`, `argument "sql": 1:1: no placeholder`},
		{"execute_sql", `{"sql": "DROP TABLE t"}`, `argument "sql": 1:1: statement begins with DROP`},
		{"execute_sql", `{"SQL": "SELECT 1"}`, `unknown argument "SQL", did you mean "sql"?`},
		{"backfill_column", `{}`, `argument "column" is missing; argument "expression": expression is empty`},
		{"backfill_column", `{"column": "a", "expression": "1), (2"}`, `argument "expression": 1:2: ) closes nothing`},
		{"backfill_column", `{"column": "a", "expression": "1", "where": " "}`, `argument "where": expression is empty`},
		{"backfill_column", `{"column": "a", "expression": "1", "where": "true; DELETE FROM t"}`, `argument "where": 1:5: semicolon`},
		{"backfill_column", `{"column": "a", "expression": "1", "skip_equal": "yes"}`, `argument "skip_equal" is a string and has to be a bool`},
		{"copy_column", `{"form": "a"}`, `unknown argument "form", did you mean "from"?`},
		{"copy_column", `{"from": "a"}`, `argument "to" is missing`},
		{"copy_column", `{"from": "a", "to": "a"}`, `arguments "from" and "to" name the same column`},
		{"copy_column", `{"from": "a", "to": "b", "cast": "int) + (1"}`, `argument "cast": 1:4: ) closes nothing`},
		{"delete_rows", `{}`, `argument "where" is missing: name the rows, or write "all": true`},
		{"delete_rows", `{"where": null}`, `argument "where" is missing`},
		{"delete_rows", `{"where": ""}`, `argument "where": expression is empty`},
		{"delete_rows", `{"where": "-- all"}`, `argument "where": expression is empty`},
		{"delete_rows", `{"where": "true", "all": true}`, `exclude each other`},
		{"delete_rows", `{"where": "true) OR (true"}`, `argument "where": 1:5: ) closes nothing`},
	}
	for _, test := range tests {
		require.ErrorContains(t, lookup(t, test.work).ValidateArguments([]byte(test.arguments)), test.want, test.arguments)
	}
}

func TestWorksAreComplete(t *testing.T) {
	t.Parallel()
	var names []string
	for _, work := range registry.Default().Works() {
		names = append(names, work.Name)
		require.NotEmpty(t, work.Summary)
		require.NotNil(t, work.Check)
		_, err := work.SQL(migration(`{"no": "such argument"}`))
		require.ErrorContains(t, err, `unknown argument "no"`)
	}
	require.Equal(t, []string{"backfill_column", "copy_column", "delete_rows", "execute_sql"}, names)
}
