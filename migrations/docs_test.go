package migrations_test

import (
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/registry"
	"github.com/bbmd-dev/bbmd/testing/pgtest"
)

// documentedTables are what the examples of docs/works.md are about.
const documentedTables = `
	CREATE TABLE public.accounts (id bigint PRIMARY KEY, balance bigint);
	CREATE TABLE public.orders (id bigint PRIMARY KEY, state text);
	CREATE TABLE public.archived_orders (LIKE public.orders INCLUDING ALL);
	CREATE TABLE public.users (id int PRIMARY KEY, id_bigint bigint, email text, email_norm text, age_text text, age int);
	CREATE TABLE public.events (id bigint PRIMARY KEY, created_at timestamptz);
	CREATE TABLE public.profiles (user_id int PRIMARY KEY, email text, age int);
	CREATE TABLE public.posts (id bigint PRIMARY KEY, comments_count int);
	CREATE TABLE public.comments (id bigint PRIMARY KEY, post_id bigint, hidden boolean);
	CREATE INDEX ON public.comments (post_id);
	CREATE FUNCTION public.recount(first bigint, last bigint) RETURNS bigint LANGUAGE sql AS 'SELECT 1'`

// TestDocumentation enqueues every example of docs/works.md and checks what it enqueued.
func TestDocumentation(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../docs/works.md")
	require.NoError(t, err)
	db := pgtest.New(t)
	db.Exec(t, documentedTables)
	examples := regexp.MustCompile("(?s)```sql\n(.*?)```").FindAllStringSubmatch(string(page), -1)
	for _, example := range examples {
		db.Exec(t, example[1])
	}

	enqueued := pgtest.Rows[struct{ Name, Work, Table, Key, Arguments string }](t, db, `
		SELECT m.name, m.job_signature_name AS work, m.table_name AS "table", format_type(a.atttypid, a.atttypmod) AS key, m.arguments::text
		FROM bbm.batched_background_migrations m
		JOIN pg_attribute a ON a.attrelid = to_regclass(m.table_name) AND a.attname = 'id' ORDER BY m.id`)
	require.Len(t, enqueued, len(examples))
	seen := map[string]bool{}
	for _, e := range enqueued {
		seen[e.Work] = true
		work := lookup(t, e.Work)
		require.NoError(t, work.ValidateArguments([]byte(e.Arguments)), e.Name)
		m := registry.Migration{Name: e.Name, Table: e.Table, Key: registry.Key{{Name: "id", Type: e.Key}}, Arguments: json.RawMessage(e.Arguments)}
		require.NoError(t, work.Check(t.Context(), db.Conn(t), m), e.Name)
	}
	for _, work := range registry.Default().Works() {
		require.True(t, seen[work.Name], "%s has no example", work.Name)
		require.Contains(t, string(page), "\n## "+work.Name+"\n")
	}
}

// TestDocumentedStatement compares the statement that the page prints.
func TestDocumentedStatement(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../docs/works.md")
	require.NoError(t, err)
	m := registry.Migration{
		Table: `"public"."users"`, Key: registry.Key{{Name: "id", Type: "bigint"}},
		Arguments: json.RawMessage(`{"column": "email_norm", "expression": "lower(email)", "where": "email IS NOT NULL", "skip_equal": true}`),
	}
	text, _ := bind(t, "backfill_column", m, false)
	require.Contains(t, string(page), strings.Replace(text, " WHERE", "\nWHERE", 1))
}
