package migrations_test

import (
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/registry"
	"github.com/bbmd-dev/bbmd/testing/pgtest"
)

const checkedTable = `
	CREATE TABLE public.items (
		tenant bigint, id bigint, email text, "Email Norm" text, n int NOT NULL DEFAULT 0, doc json, old_doc json,
		double int GENERATED ALWAYS AS (n * 2) STORED, always int GENERATED ALWAYS AS IDENTITY, gone int,
		PRIMARY KEY (tenant, id), UNIQUE (id));
	ALTER TABLE public.items DROP COLUMN gone;
	INSERT INTO public.items (tenant, id) VALUES (1, 1);
	CREATE TABLE public.others (id bigint, n int);
	CREATE TABLE public.parts (id bigint PRIMARY KEY, item_id bigint, live boolean, extra bigint);
	CREATE INDEX ON public.parts (item_id);
	CREATE INDEX ON public.parts (extra) WHERE live;
	CREATE SCHEMA "Archive";
	CREATE TABLE "Archive".items (
		id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, email text NOT NULL, n int, doc json,
		tenant bigint UNIQUE, double int GENERATED ALWAYS AS (n * 2) STORED)`

func TestCheckAccepts(t *testing.T) {
	t.Parallel()
	db := pgtest.NewEmpty(t)
	db.Exec(t, checkedTable)
	tests := []struct{ work, arguments string }{
		{"backfill_column", `{"column": "Email Norm", "expression": "lower(email)", "skip_equal": true}`},
		{"backfill_column", `{"column": "doc", "expression": "'{}'"}`},
		{"copy_column", `{"from": "doc", "to": "old_doc"}`},
		{"copy_column", `{"from": "email", "to": "n", "cast": "int"}`},
		{"copy_column", `{"from": "id", "to": "n"}`},
		{"delete_rows", `{"where": "email IS NULL"}`},
		{"delete_rows", `{"all": true}`},
		{"execute_sql", `{"sql": "UPDATE items SET n = id WHERE :range"}`},
		{"execute_sql", `{"sql": "UPDATE others SET id = 1 FROM items i WHERE i.id = others.id AND :range(i)"}`},
		{"execute_sql", `{"sql": "INSERT INTO others (id) SELECT id FROM items WHERE id BETWEEN :start AND :end"}`},
		{"execute_sql", `{"sql": "SELECT pg_notify('x', 'y') FROM items WHERE :range"}`},
		{"execute_sql", `{"sql": "UPDATE items SET n = 1 WHERE :range", "verify_sql": "SELECT count(*) FROM items WHERE :range AND n <> 1; "}`},
		{"execute_sql", `{"sql": "UPDATE items SET n = 1 WHERE :range", "verify_sql": "WITH x AS (SELECT 1 FROM items WHERE id BETWEEN :start AND :end) SELECT sum(1) FROM x -- all"}`},
		{"backfill_column", `{"column": "doc", "expression": "'{}'", "deterministic": true}`},
		{"delete_orphans", `{"column": "tenant", "references": "parts", "referenced_column": "item_id"}`},
		{"delete_orphans", `{"column": "n", "references": "\"Archive\".items", "referenced_column": "id"}`},
		{"reset_counter", `{"counter": "n", "from": "PARTS", "foreign_key": "item_id", "where": "live"}`},
		{"reset_counter", `{"counter": "n", "from": "public.parts", "foreign_key": "item_id", "referenced_column": "tenant"}`},
		{"copy_rows", `{"to": "\"Archive\".items", "columns": ["id", "email", "doc"], "conflict": ["id"]}`},
		{"copy_rows", `{"to": "\"Archive\".items", "columns": {"id": "id", "email": "'x'", "doc": "NULL", "n": "length(email)"}, "conflict": ["id"], "on_conflict": "update", "deterministic": true}`},
	}
	for _, test := range tests {
		require.NoError(t, lookup(t, test.work).ValidateArguments([]byte(test.arguments)))
		require.NoError(t, lookup(t, test.work).Check(t.Context(), db.Conn(t), migration(test.arguments)), test.arguments)
	}
	require.Equal(t, 1, pgtest.One[int](t, db, "SELECT count(*) FROM items WHERE n = 0"), "a check changes nothing")
	require.Equal(t, 0, pgtest.One[int](t, db, "SELECT count(*) FROM others"), "a check changes nothing")
}

func TestCheckRefuses(t *testing.T) {
	t.Parallel()
	db := pgtest.NewEmpty(t)
	db.Exec(t, checkedTable)
	composite := []registry.Column{{Name: "tenant", Type: "bigint"}, {Name: "id", Type: "bigint"}}
	tests := map[string]struct {
		work, arguments, want string
		key                   []registry.Column
	}{
		"column misspelt":              {work: "backfill_column", arguments: `{"column": "emial", "expression": "1"}`, want: `table "public"."items" has no column "emial", did you mean "email"?`},
		"column of another case":       {work: "backfill_column", arguments: `{"column": "email norm", "expression": "'a'"}`, want: `has no column "email norm", did you mean "Email Norm"?`},
		"dropped column":               {work: "backfill_column", arguments: `{"column": "gone", "expression": "1"}`, want: `has no column "gone"`},
		"system column":                {work: "backfill_column", arguments: `{"column": "ctid", "expression": "1"}`, want: `has no column "ctid"`},
		"key":                          {work: "backfill_column", arguments: `{"column": "id", "expression": "id + 1"}`, want: `column "id" belongs to the key`},
		"one of two key columns":       {work: "backfill_column", arguments: `{"column": "tenant", "expression": "2"}`, want: `column "tenant" belongs to the key`, key: composite},
		"generated":                    {work: "backfill_column", arguments: `{"column": "double", "expression": "1"}`, want: `column "double" is generated`},
		"identity":                     {work: "backfill_column", arguments: `{"column": "always", "expression": "1"}`, want: `column "always" can only be updated to DEFAULT`},
		"expression's column":          {work: "backfill_column", arguments: `{"column": "n", "expression": "lnegth(email)"}`, want: `function lnegth(text) does not exist`},
		"expression's type":            {work: "backfill_column", arguments: `{"column": "n", "expression": "email"}`, want: `column "n" is of type integer but expression is of type text (SQLSTATE 42804): You will need to rewrite or cast the expression.`},
		"where's type":                 {work: "backfill_column", arguments: `{"column": "n", "expression": "1", "where": "email"}`, want: `argument of AND must be type boolean, not type text`},
		"not comparable":               {work: "backfill_column", arguments: `{"column": "doc", "expression": "old_doc", "skip_equal": true}`, want: `values are compared because of "skip_equal"`},
		"both columns":                 {work: "copy_column", arguments: `{"from": "mail", "to": "nn"}`, want: `has no column "mail", did you mean "email"?; table "public"."items" has no column "nn", did you mean "n"`},
		"to the key":                   {work: "copy_column", arguments: `{"from": "n", "to": "id"}`, want: `column "id" belongs to the key`},
		"not assignable":               {work: "copy_column", arguments: `{"from": "email", "to": "n"}`, want: `column "n" is of type integer but expression is of type text (SQLSTATE 42804): name the type to cast to in "cast"`},
		"not castable":                 {work: "copy_column", arguments: `{"from": "doc", "to": "n", "cast": "int"}`, want: `cannot cast type json to integer`},
		"unknown type":                 {work: "copy_column", arguments: `{"from": "email", "to": "n", "cast": "itn"}`, want: `type "itn" does not exist`},
		"two casts":                    {work: "copy_column", arguments: `{"from": "email", "to": "n", "cast": "int, int"}`, want: `syntax error at or near ","`},
		"delete by no column":          {work: "delete_rows", arguments: `{"where": "mail IS NULL"}`, want: `column "mail" does not exist`},
		"malformed":                    {work: "execute_sql", arguments: `{"sql": "UPDATE items SETT n = 1 WHERE :range"}`, want: `syntax error at or near "n"`},
		"no such table":                {work: "execute_sql", arguments: `{"sql": "UPDATE itmes SET n = 1 WHERE :range"}`, want: `relation "itmes" does not exist`},
		"no key in that table":         {work: "execute_sql", arguments: `{"sql": "UPDATE others SET n = 1 WHERE :range"}`, want: `column "tenant" does not exist`, key: composite},
		"key by SQL":                   {work: "execute_sql", arguments: `{"sql": "UPDATE items SET n = 1, id = id + 1 WHERE :range"}`, want: `column "id" belongs to the key`},
		"key by upsert":                {work: "execute_sql", arguments: `{"sql": "INSERT INTO items SELECT * FROM items WHERE :range ON CONFLICT (id) DO UPDATE SET (n, id) = (1, 2)"}`, want: `column "id" belongs to the key`},
		"between with two columns":     {work: "execute_sql", arguments: `{"sql": "UPDATE items SET n = 1 WHERE id BETWEEN :start AND :end"}`, want: `:start and :end need a key of one column and this one is (tenant, id)`, key: composite},
		"verified with two columns":    {work: "execute_sql", arguments: `{"sql": "UPDATE items SET n = 1 WHERE :range", "verify_sql": "SELECT id, n FROM items WHERE :range"}`, want: `plan the verification: ERROR: subquery must return only one column`},
		"verified without a number":    {work: "execute_sql", arguments: `{"sql": "UPDATE items SET n = 1 WHERE :range", "verify_sql": "SELECT email FROM items WHERE :range"}`, want: `operator does not exist: text + integer`},
		"verified by an update":        {work: "execute_sql", arguments: `{"sql": "UPDATE items SET n = 1 WHERE :range", "verify_sql": "UPDATE items SET n = 1 WHERE :range RETURNING 1"}`, want: `syntax error at or near "items"`},
		"orphans of a misspelt table":  {work: "delete_orphans", arguments: `{"column": "n", "references": "partz", "referenced_column": "id"}`, want: `table "public"."partz" does not exist or has no columns, did you mean "public.parts"?`},
		"orphans of misspelt columns":  {work: "delete_orphans", arguments: `{"column": "tenent", "references": "parts", "referenced_column": "itemid"}`, want: `has no column "tenent", did you mean "tenant"?; table "public"."parts" has no column "itemid", did you mean "item_id"?`},
		"orphans without an index":     {work: "delete_orphans", arguments: `{"column": "n", "references": "others", "referenced_column": "id"}`, want: `table "public"."others" has no index that begins with "id", so that every row would cost a scan of it: CREATE INDEX CONCURRENTLY ON "public"."others" ("id")`},
		"orphans by a partial index":   {work: "delete_orphans", arguments: `{"column": "n", "references": "parts", "referenced_column": "extra"}`, want: `has no index that begins with "extra"`},
		"orphans of the table itself":  {work: "delete_orphans", arguments: `{"column": "tenant", "references": "items", "referenced_column": "id"}`, want: `table "public"."items" refers to itself`},
		"orphans of another type":      {work: "delete_orphans", arguments: `{"column": "email", "references": "parts", "referenced_column": "id"}`, want: `operator does not exist: bigint = text`},
		"counter of the key":           {work: "reset_counter", arguments: `{"counter": "id", "from": "parts", "foreign_key": "item_id"}`, want: `column "id" belongs to the key`},
		"counter misspelt":             {work: "reset_counter", arguments: `{"counter": "m", "from": "parts", "foreign_key": "itemid"}`, want: `has no column "m", did you mean "n"?; table "public"."parts" has no column "itemid", did you mean "item_id"?`},
		"counter without an index":     {work: "reset_counter", arguments: `{"counter": "n", "from": "parts", "foreign_key": "extra"}`, want: `table "public"."parts" has no index that begins with "extra"`},
		"counter of a composite key":   {work: "reset_counter", arguments: `{"counter": "n", "from": "parts", "foreign_key": "item_id"}`, want: `the key is not one column: name the one that "foreign_key" refers to in "referenced_column"`, key: composite},
		"counter by the outer column":  {work: "reset_counter", arguments: `{"counter": "n", "from": "parts", "foreign_key": "item_id", "where": "email IS NULL"}`, want: `argument "where" is about "public"."parts": ERROR: column "email" does not exist`},
		"counter of text":              {work: "reset_counter", arguments: `{"counter": "email", "from": "parts", "foreign_key": "item_id"}`, want: `plan the statement: ERROR: operator does not exist: text = bigint`},
		"copy to itself":               {work: "copy_rows", arguments: `{"to": "Items", "columns": ["id"], "conflict": ["id"]}`, want: `argument "to" is the migration's own table`},
		"copy to a misspelt table":     {work: "copy_rows", arguments: `{"to": "\"Archive\".item", "columns": ["id"], "conflict": ["id"]}`, want: `table "Archive"."item" does not exist or has no columns, did you mean "Archive.items"?`},
		"copy of misspelt columns":     {work: "copy_rows", arguments: `{"to": "\"Archive\".items", "columns": ["id", "emial"], "conflict": ["id"]}`, want: `table "Archive"."items" has no column "emial", did you mean "email"?; table "public"."items" has no column "emial"`},
		"copy without a needed column": {work: "copy_rows", arguments: `{"to": "\"Archive\".items", "columns": ["id"], "conflict": ["id"]}`, want: `column "email" of "Archive"."items" is NOT NULL without a default: give it a value in "columns"`},
		"copy to a generated column":   {work: "copy_rows", arguments: `{"to": "\"Archive\".items", "columns": ["id", "email", "double"], "conflict": ["id"]}`, want: `column "double" is generated`},
		"copy by a nullable column":    {work: "copy_rows", arguments: `{"to": "\"Archive\".items", "columns": ["id", "email", "tenant"], "conflict": ["tenant"]}`, want: `column "tenant" of "Archive"."items" may be NULL`},
		"copy by no unique index":      {work: "copy_rows", arguments: `{"to": "\"Archive\".items", "columns": ["id", "email"], "conflict": ["id", "email"]}`, want: `name in "conflict" exactly the columns of a primary key or unique index`},
		"copy of rows that may meet":   {work: "copy_rows", arguments: `{"to": "\"Archive\".items", "columns": {"id": "tenant", "email": "'x'"}, "conflict": ["id"]}`, want: `"public"."items" has no unique index on NOT NULL columns among (tenant), so that two of its rows could be the same one in "Archive"."items"`},
		"copy of another type":         {work: "copy_rows", arguments: `{"to": "\"Archive\".items", "columns": {"id": "id", "email": "'x'", "n": "email"}, "conflict": ["id"]}`, want: `column "n" is of type integer but expression is of type text`},
		"arguments without meaning":    {work: "execute_sql", arguments: `{"sqll": ""}`, want: `unknown argument "sqll", did you mean "sql"?`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := lookup(t, test.work).Check(t.Context(), db.Conn(t), migration(test.arguments, test.key...))
			require.ErrorContains(t, err, test.want)
		})
	}
}

func TestCheckKeepsSQLState(t *testing.T) {
	t.Parallel()
	db := pgtest.NewEmpty(t)
	db.Exec(t, checkedTable)
	err := lookup(t, "delete_rows").Check(t.Context(), db.Conn(t), migration(`{"where": "mail IS NULL"}`))
	var refused *pgconn.PgError
	require.ErrorAs(t, err, &refused)
	require.Equal(t, "42703", refused.Code)
}

func TestCheckWithoutTable(t *testing.T) {
	t.Parallel()
	db := pgtest.NewEmpty(t)
	for _, work := range []struct{ name, arguments string }{
		{"backfill_column", `{"column": "a", "expression": "1"}`},
		{"copy_column", `{"from": "a", "to": "b"}`},
		{"delete_rows", `{"all": true}`},
	} {
		err := lookup(t, work.name).Check(t.Context(), db.Conn(t), migration(work.arguments))
		require.EqualError(t, err, `table "public"."items" does not exist or has no columns`)
	}
}
