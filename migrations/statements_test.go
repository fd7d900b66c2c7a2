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
		"delete_orphans": {
			"delete_orphans", `{"column": "owner_id", "references": "people.\"Owners\"", "referenced_column": "id"}`,
			`DELETE FROM "public"."items" WHERE ("id" > $1::bigint AND "id" <= $2::bigint) AND "public"."items"."owner_id" IS NOT NULL AND NOT EXISTS (SELECT FROM "people"."Owners" AS referenced WHERE referenced."id" = "public"."items"."owner_id" OFFSET 0)`,
		},
		"reset_counter": {
			"reset_counter", `{"counter": "parts_count", "from": "Parts", "foreign_key": "item_id"}`,
			`UPDATE "public"."items" AS now SET "parts_count" = actual.count FROM "public"."items" AS was CROSS JOIN LATERAL (SELECT count(*) AS count FROM "public"."parts" WHERE "public"."parts"."item_id" = was."id") AS actual WHERE (now."id" > $1::bigint AND now."id" <= $2::bigint) AND (was."id" > $1::bigint AND was."id" <= $2::bigint) AND now."id" = was."id" AND was."parts_count" IS DISTINCT FROM actual.count AND now."parts_count" IS NOT DISTINCT FROM was."parts_count"`,
		},
		"reset_counter with everything": {
			"reset_counter", `{"counter": "n", "from": "store.parts", "foreign_key": "item", "where": "live -- only", "referenced_column": "code"}`,
			"UPDATE \"public\".\"items\" AS now SET \"n\" = actual.count FROM \"public\".\"items\" AS was CROSS JOIN LATERAL (SELECT count(*) AS count FROM \"store\".\"parts\" WHERE \"store\".\"parts\".\"item\" = was.\"code\" AND (live -- only\n)) AS actual WHERE (now.\"id\" > $1::bigint AND now.\"id\" <= $2::bigint) AND (was.\"id\" > $1::bigint AND was.\"id\" <= $2::bigint) AND now.\"id\" = was.\"id\" AND was.\"n\" IS DISTINCT FROM actual.count AND now.\"n\" IS NOT DISTINCT FROM was.\"n\"",
		},
		"copy_rows": {
			"copy_rows", `{"to": "archive.items", "columns": ["id", "State"], "conflict": ["id"]}`,
			`INSERT INTO "archive"."items" AS present ("id", "State") OVERRIDING SYSTEM VALUE SELECT "id", "State" FROM "public"."items" WHERE ("id" > $1::bigint AND "id" <= $2::bigint) ORDER BY "public"."items"."id" ON CONFLICT ("id") DO NOTHING`,
		},
		"copy_rows with everything": {
			"copy_rows", `{"to": "copies", "columns": {"state": "upper(state)", "key": "id", "n": "n"}, "conflict": ["key"], "on_conflict": "update", "where": "n > 0", "deterministic": true}`,
			`INSERT INTO "public"."copies" AS present ("key", "n", "state") OVERRIDING SYSTEM VALUE SELECT (id), (n), (upper(state)) FROM "public"."items" WHERE ("id" > $1::bigint AND "id" <= $2::bigint) AND (n > 0) ORDER BY "public"."items"."id" ON CONFLICT ("key") DO UPDATE SET "n" = EXCLUDED."n", "state" = EXCLUDED."state" WHERE ROW(present."n", present."state")::record *<> ROW(EXCLUDED."n", EXCLUDED."state")::record`,
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
		{"execute_sql", `{"sql": "UPDATE t SET n = 1 WHERE :range", "verify_sql": "SELECT count(*) FROM t"}`, `argument "verify_sql": 1:1: no placeholder`},
		{"execute_sql", `{"sql": "UPDATE t SET n = 1 WHERE :range", "verify_sql": ""}`, `argument "verify_sql" is missing`},
		{"delete_orphans", `{}`, `argument "column" is missing; argument "references" is missing; argument "referenced_column" is missing`},
		{"delete_orphans", `{"column": "a", "references": "t WHERE true", "referenced_column": "id"}`, `argument "references": "t WHERE true" is not the name of a table: write table or schema.table`},
		{"delete_orphans", `{"column": "a", "references": "db.public.t", "referenced_column": "id"}`, `is not the name of a table`},
		{"delete_orphans", `{"column": "a", "reference": "t", "referenced_column": "id"}`, `unknown argument "reference", did you mean "references"?`},
		{"reset_counter", `{"counter": "n"}`, `argument "from" is missing; argument "foreign_key" is missing`},
		{"reset_counter", `{"counter": "n", "from": "t", "foreign_key": "a", "where": ""}`, `argument "where": expression is empty`},
		{"reset_counter", `{"counter": "n", "from": "t", "foreign_key": "a", "referenced_column": " "}`, `argument "referenced_column" is missing`},
		{"copy_rows", `{}`, `argument "to" is missing; argument "columns" is missing: name the columns to write; argument "conflict" is missing`},
		{"copy_rows", `{"to": "t", "columns": "id", "conflict": ["id"]}`, `argument "columns" has to be an array of names`},
		{"copy_rows", `{"to": "t", "columns": ["id", "id", ""], "conflict": ["id"]}`, `argument "columns" names "id" twice; argument "columns" has an empty name`},
		{"copy_rows", `{"to": "t", "columns": {"id": ""}, "conflict": ["id"]}`, `argument "columns.id": expression is empty`},
		{"copy_rows", `{"to": "t", "columns": {"id": "1), (2"}, "conflict": ["id"]}`, `argument "columns.id": 1:2: ) closes nothing`},
		{"copy_rows", `{"to": "t", "columns": ["tenant", "state"], "conflict": ["tenent"]}`, `column "tenent" is not among "columns", did you mean "tenant"?`},
		{"copy_rows", `{"to": "t", "columns": ["id"], "conflict": ["id"], "on_conflict": "replace"}`, `argument "on_conflict" is "replace": write "nothing" or "update"`},
		{"copy_rows", `{"to": "t", "columns": ["id"], "conflict": ["id"], "on_conflict": "update"}`, `nothing is left to update`},
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
		require.NotNil(t, work.Verify)
		_, err := work.SQL(migration(`{"no": "such argument"}`))
		require.ErrorContains(t, err, `unknown argument "no"`)
	}
	require.Equal(t, []string{"backfill_column", "copy_column", "copy_rows", "delete_orphans", "delete_rows", "execute_sql", "reset_counter"}, names)
}
