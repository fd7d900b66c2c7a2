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
	CREATE TABLE public.others (id bigint, n int)`

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
		"column misspelt":           {work: "backfill_column", arguments: `{"column": "emial", "expression": "1"}`, want: `table "public"."items" has no column "emial", did you mean "email"?`},
		"column of another case":    {work: "backfill_column", arguments: `{"column": "email norm", "expression": "'a'"}`, want: `has no column "email norm", did you mean "Email Norm"?`},
		"dropped column":            {work: "backfill_column", arguments: `{"column": "gone", "expression": "1"}`, want: `has no column "gone"`},
		"system column":             {work: "backfill_column", arguments: `{"column": "ctid", "expression": "1"}`, want: `has no column "ctid"`},
		"key":                       {work: "backfill_column", arguments: `{"column": "id", "expression": "id + 1"}`, want: `column "id" belongs to the key`},
		"one of two key columns":    {work: "backfill_column", arguments: `{"column": "tenant", "expression": "2"}`, want: `column "tenant" belongs to the key`, key: composite},
		"generated":                 {work: "backfill_column", arguments: `{"column": "double", "expression": "1"}`, want: `column "double" is generated`},
		"identity":                  {work: "backfill_column", arguments: `{"column": "always", "expression": "1"}`, want: `column "always" can only be updated to DEFAULT`},
		"expression's column":       {work: "backfill_column", arguments: `{"column": "n", "expression": "lnegth(email)"}`, want: `function lnegth(text) does not exist`},
		"expression's type":         {work: "backfill_column", arguments: `{"column": "n", "expression": "email"}`, want: `column "n" is of type integer but expression is of type text (SQLSTATE 42804): You will need to rewrite or cast the expression.`},
		"where's type":              {work: "backfill_column", arguments: `{"column": "n", "expression": "1", "where": "email"}`, want: `argument of AND must be type boolean, not type text`},
		"not comparable":            {work: "backfill_column", arguments: `{"column": "doc", "expression": "old_doc", "skip_equal": true}`, want: `values are compared because of "skip_equal"`},
		"both columns":              {work: "copy_column", arguments: `{"from": "mail", "to": "nn"}`, want: `has no column "mail", did you mean "email"?; table "public"."items" has no column "nn", did you mean "n"`},
		"to the key":                {work: "copy_column", arguments: `{"from": "n", "to": "id"}`, want: `column "id" belongs to the key`},
		"not assignable":            {work: "copy_column", arguments: `{"from": "email", "to": "n"}`, want: `column "n" is of type integer but expression is of type text (SQLSTATE 42804): name the type to cast to in "cast"`},
		"not castable":              {work: "copy_column", arguments: `{"from": "doc", "to": "n", "cast": "int"}`, want: `cannot cast type json to integer`},
		"unknown type":              {work: "copy_column", arguments: `{"from": "email", "to": "n", "cast": "itn"}`, want: `type "itn" does not exist`},
		"two casts":                 {work: "copy_column", arguments: `{"from": "email", "to": "n", "cast": "int, int"}`, want: `syntax error at or near ","`},
		"delete by no column":       {work: "delete_rows", arguments: `{"where": "mail IS NULL"}`, want: `column "mail" does not exist`},
		"malformed":                 {work: "execute_sql", arguments: `{"sql": "UPDATE items SETT n = 1 WHERE :range"}`, want: `syntax error at or near "n"`},
		"no such table":             {work: "execute_sql", arguments: `{"sql": "UPDATE itmes SET n = 1 WHERE :range"}`, want: `relation "itmes" does not exist`},
		"no key in that table":      {work: "execute_sql", arguments: `{"sql": "UPDATE others SET n = 1 WHERE :range"}`, want: `column "tenant" does not exist`, key: composite},
		"key by SQL":                {work: "execute_sql", arguments: `{"sql": "UPDATE items SET n = 1, id = id + 1 WHERE :range"}`, want: `column "id" belongs to the key`},
		"key by upsert":             {work: "execute_sql", arguments: `{"sql": "INSERT INTO items SELECT * FROM items WHERE :range ON CONFLICT (id) DO UPDATE SET (n, id) = (1, 2)"}`, want: `column "id" belongs to the key`},
		"between with two columns":  {work: "execute_sql", arguments: `{"sql": "UPDATE items SET n = 1 WHERE id BETWEEN :start AND :end"}`, want: `:start and :end need a key of one column and this one is (tenant, id)`, key: composite},
		"arguments without meaning": {work: "execute_sql", arguments: `{"sqll": ""}`, want: `unknown argument "sqll", did you mean "sql"?`},
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
