package works_test

import (
	"testing"

	"example.com/works"
	"github.com/bbmd-dev/bbmd/testing/migtest"
)

func TestNormalizeEmail(t *testing.T) {
	t.Parallel()
	migtest.Run(t, migtest.Case{
		Work:  works.NormalizeEmail,
		Table: "users",
		Setup: `
			CREATE TABLE users (id bigint PRIMARY KEY, email text, email_norm text);
			INSERT INTO users SELECT i, 'User' || i || '@Example.com' FROM generate_series(1, 30) i;
			UPDATE users SET email = NULL WHERE id = 7`,
		Want: migtest.NoRows("SELECT id FROM users WHERE email_norm IS DISTINCT FROM lower(email)"),
	})
}
