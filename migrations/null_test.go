package migrations_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/registry"
	"github.com/bbmd-dev/bbmd/testing/pgtest"
)

// With the strategy "null" there is no key, and the Work writes the very column.
func TestNullStrategyPassesTheCheck(t *testing.T) {
	t.Parallel()
	db := pgtest.NewEmpty(t)
	db.Exec(t, "CREATE TABLE users (id bigint PRIMARY KEY, email text, email_norm text)")
	for name, arguments := range map[string]string{
		"backfill_column": `{"column": "email_norm", "expression": "lower(email)"}`,
		"execute_sql":     `{"sql": "UPDATE users SET email_norm = lower(email) WHERE :range"}`,
		"copy_column":     `{"from": "email", "to": "email_norm"}`,
	} {
		work, err := registry.Default().Lookup(name)
		require.NoError(t, err)
		m := registry.Migration{Name: "m", Table: "public.users", Arguments: json.RawMessage(arguments)}
		require.NoError(t, work.Check(t.Context(), db.Conn(t), m), name)
	}
}
