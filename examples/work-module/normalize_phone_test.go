package works_test

import (
	"testing"

	"example.com/works"
	"github.com/bbmd-dev/bbmd/testing/migtest"
)

func TestNormalizePhone(t *testing.T) {
	t.Parallel()
	migtest.Run(t, migtest.Case{
		Work:      works.NormalizePhone,
		Table:     "users",
		Arguments: `{"country": "+49"}`,
		Refused:   []string{`{}`, `{"country": "49"}`},
		Setup: `
			CREATE TABLE users (id bigint PRIMARY KEY, phone text, phone_e164 text);
			INSERT INTO users SELECT i, (ARRAY['030 1234', '+1 (555) 0', '0043/1', NULL])[1 + i % 4] || i FROM generate_series(1, 30) i`,
		Want: migtest.All(
			migtest.Rows("SELECT phone, phone_e164 FROM users WHERE id IN (4, 5, 6, 7) ORDER BY id",
				"030 12344|+493012344", "+1 (555) 05|+155505", "0043/16|+4316", "NULL|NULL"),
			migtest.NoRows("SELECT id FROM users WHERE phone IS NOT NULL AND phone_e164 IS NULL")),
	})
}
