package registry_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/registry"
)

func TestStatementAssigns(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		text   string
		table  string // public.t where empty
		column string // id where empty
		want   bool
	}{
		"another column":                 {text: "UPDATE t SET n = id + 1 WHERE :range"},
		"the key":                        {text: "UPDATE t SET id = id + 1 WHERE :range", want: true},
		"the key, schema given":          {text: "UPDATE public.t SET id = 1 WHERE :range", want: true},
		"another schema":                 {text: "UPDATE other.t SET id = 1 WHERE :range"},
		"another table":                  {text: "UPDATE u SET id = 1 WHERE id IN (SELECT u_id FROM t WHERE :range)"},
		"folded":                         {text: "update ONLY (T) AS x set ID = 1 WHERE :range", want: true},
		"quoted":                         {text: `UPDATE "t" SET "id" = 1 WHERE :range`, want: true},
		"quoted, another name":           {text: `UPDATE "T" SET id = 1 WHERE :range`},
		"quoted column, another name":    {text: `UPDATE t SET "ID" = 1 WHERE :range`},
		"odd names":                      {text: `UPDATE "A.b""" SET "i""d" = 1 WHERE :range`, table: `"public"."A.b"""`, column: `i"d`, want: true},
		"second":                         {text: "UPDATE t SET n = f(a, b[1, 2]), id = 1 WHERE :range", want: true},
		"in a list":                      {text: "UPDATE t SET (n, id) = (1, 2) WHERE :range", want: true},
		"only on the right":              {text: "UPDATE t SET (n, m) = (f(1, 2), id) WHERE :range"},
		"after a list":                   {text: "UPDATE t SET (n, m) = ROW(1, 2), id = 1 WHERE :range", want: true},
		"part of it":                     {text: "UPDATE t SET id[1] = 1 WHERE :range", want: true},
		"only in the condition":          {text: "UPDATE t SET n = 1 FROM u WHERE u.n = 2 AND :range RETURNING n, id"},
		"only in a subquery":             {text: "UPDATE t SET n = (SELECT max(a), id FROM u) WHERE :range"},
		"in a CTE":                       {text: "WITH x AS (UPDATE t SET id = 1 WHERE :range RETURNING n) SELECT 1", want: true},
		"CTE ends":                       {text: "WITH x AS (UPDATE t SET n = 1), id AS (SELECT 1 WHERE :range) SELECT 1"},
		"on conflict":                    {text: "INSERT INTO t SELECT * FROM u WHERE :range FOR UPDATE ON CONFLICT (n) DO UPDATE SET id = 1", want: true},
		"on conflict, another table":     {text: "INSERT INTO u SELECT * FROM t WHERE :range ON CONFLICT (n) DO UPDATE SET id = 1"},
		"merge":                          {text: "MERGE INTO t USING u ON u.n = t.n AND :range(t) WHEN MATCHED AND u.a THEN UPDATE SET n = 1 WHEN MATCHED THEN UPDATE SET a = 1, id = 2", want: true},
		"merge, another column":          {text: "MERGE INTO t USING u ON :range(t) WHEN MATCHED THEN UPDATE SET n = 1 WHEN NOT MATCHED THEN INSERT (n, id) VALUES (1, 2)"},
		"lock":                           {text: "SELECT id FROM t WHERE :range FOR NO KEY UPDATE OF t"},
		"delete":                         {text: "DELETE FROM t WHERE :range"},
		"string":                         {text: "UPDATE t SET n = 'x, id = 1' WHERE :range"},
		"column called set":              {text: "UPDATE t SET set = 1 WHERE :range"},
		"nothing of the sort at the end": {text: "SELECT set FROM t WHERE :range ORDER BY set"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			table, column := test.table, test.column
			if table == "" {
				table = `"public"."t"`
			}
			if column == "" {
				column = "id"
			}
			statement, err := registry.ParseStatement(test.text)
			require.NoError(t, err)
			require.Equal(t, test.want, statement.Assigns(table, column))
		})
	}
}

func TestCheckExpression(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"1", "lower(email)", "a[1:n]", "(SELECT max(x) FROM u WHERE u.id = t.id)", "a -- why", "':start; $1'", "a::text", `"x)"`,
	} {
		require.NoError(t, registry.CheckExpression(text), text)
	}
	for text, want := range map[string]string{
		" -- a":        "expression is empty",
		"":             "expression is empty",
		"1) , (2":      "1:2: ) closes nothing",
		"a[1":          "1:2: [ is not closed",
		"(a]":          "1:3: ] closes nothing",
		"f((a)":        "1:2: ( is not closed",
		"1; DROP":      "1:2: semicolon in an expression",
		"a > $1":       "1:5: $1 in an expression",
		"a > :start":   "1:5: :start in an expression",
		"a = 'b":       "1:5: string is not closed",
		"a /* b":       "1:3: comment is not closed",
		"a[(:n)]":      "1:4: :n in an expression",
		"f(x) \n) = 1": "2:1: ) closes nothing",
	} {
		require.ErrorContains(t, registry.CheckExpression(text), want, text)
	}
}
