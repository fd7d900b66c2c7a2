package migrations_test

import (
	"testing"

	"github.com/bbmd-dev/bbmd/testing/migtest"
)

// TestWorks tries every Work with the kit that authors of Works use.
func TestWorks(t *testing.T) {
	t.Parallel()
	const users = `
		CREATE TABLE users (id bigint PRIMARY KEY, email text, email_norm text, age_text text, age int, n int NOT NULL DEFAULT 0);
		INSERT INTO users (id, email, age_text) SELECT i, 'User' || i || '@Example.com', (i % 90)::text FROM generate_series(1, 30) i`
	const threads = `
		CREATE TABLE posts (tenant int, id int, title text, comments_count int, PRIMARY KEY (tenant, id));
		CREATE TABLE comments (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), post_id int, hidden boolean NOT NULL, body text);
		CREATE INDEX ON comments (post_id); CREATE UNIQUE INDEX ON posts (id);
		INSERT INTO posts SELECT i % 3, i, 'Post ' || i, nullif(i % 4, 0) FROM generate_series(1, 24) i;
		INSERT INTO comments (id, post_id, hidden, body) SELECT md5(i::text)::uuid, nullif(i % 40, 0), i % 5 = 0, 'Comment ' || i FROM generate_series(1, 80) i`
	for name, c := range map[string]migtest.Case{
		"execute_sql": {
			Setup: users, Table: "users", Once: true,
			Arguments: `{"sql": "UPDATE users SET n = n + 1 WHERE :range", "verify_sql": "SELECT count(*) FROM users WHERE :range AND n <> 1"}`,
			Want:      migtest.Rows("SELECT n, count(*) FROM users GROUP BY n", "1|30"),
		},
		"backfill_column": {
			Setup: users, Table: "users",
			Arguments: `{"column": "email_norm", "expression": "lower(email)", "where": "id > 5", "skip_equal": true, "deterministic": true}`,
			Want: migtest.All(
				migtest.NoRows("SELECT id FROM users WHERE id > 5 AND email_norm IS DISTINCT FROM lower(email)"),
				migtest.NoRows("SELECT id FROM users WHERE id <= 5 AND email_norm IS NOT NULL")),
		},
		"copy_column": {
			Setup: users, Table: "users",
			Arguments: `{"from": "age_text", "to": "age", "cast": "int"}`,
			Refused:   []string{`{"from": "age_text", "to": "age"}`, `{"from": "age", "to": "id"}`},
			Want:      migtest.NoRows("SELECT id FROM users WHERE age IS DISTINCT FROM age_text::int"),
		},
		"copy_rows": {
			Setup: users + `;
				CREATE TABLE profiles (user_id bigint PRIMARY KEY, email text, age int);
				INSERT INTO profiles SELECT id, 'old', 1 FROM users WHERE id < 9`,
			Table:     "users",
			Arguments: `{"to": "profiles", "columns": {"user_id": "id", "email": "email", "age": "age_text::int"}, "conflict": ["user_id"], "on_conflict": "update"}`,
			Want:      migtest.NoRows("SELECT id, email, age_text::int FROM users EXCEPT SELECT user_id, email, age FROM profiles"),
		},
		"reset_counter": {
			Setup: threads, Table: "posts",
			Arguments: `{"counter": "comments_count", "from": "comments", "foreign_key": "post_id", "where": "NOT hidden", "referenced_column": "id"}`,
			Refused:   []string{`{"counter": "comments_count", "from": "comments", "foreign_key": "post_id"}`},
			Want:      migtest.NoRows("SELECT id FROM posts WHERE comments_count IS DISTINCT FROM (SELECT count(*) FROM comments WHERE post_id = posts.id AND NOT hidden)"),
		},
		"delete_rows": {
			Setup: threads, Table: "comments",
			Arguments: `{"where": "hidden"}`,
			Want:      migtest.Rows("SELECT count(*), bool_or(hidden) FROM comments", "64|f"),
		},
		"delete_orphans": {
			Setup: threads, Table: "comments",
			Arguments: `{"column": "post_id", "references": "posts", "referenced_column": "id"}`,
			Want: migtest.Rows("SELECT count(*), count(post_id), max(post_id) FROM comments",
				"50|48|24"),
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c.Work = lookup(t, name)
			migtest.Run(t, c)
		})
	}
}
