package registry_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/registry"
)

func TestBatchWhere(t *testing.T) {
	t.Parallel()
	b := registry.Batch{Key: bigintKey, After: "10", Start: "11", End: "20"}
	require.Equal(t, `("id" > $1::bigint AND "id" <= $2::bigint)`, b.Where())
	require.Equal(t, `(u.id > $1::bigint AND u.id <= $2::bigint)`, b.Where("u.id"))
	require.Equal(t, []any{"10", "20"}, b.Args())

	b.First = true
	require.Equal(t, `("id" >= $1::bigint AND "id" <= $2::bigint)`, b.Where())

	b = registry.Batch{Key: compositeKey, After: `["1", "a\"b"]`, End: `["2", ""]`}
	require.Equal(t, `(("tenant", "Path") > ($1::bigint, $2::text) AND ("tenant", "Path") <= ($3::bigint, $4::text))`, b.Where())
	require.Equal(t, `((a, b) > ($1::bigint, $2::text) AND (a, b) <= ($3::bigint, $4::text))`, b.Where("a", "b"))
	require.Equal(t, []any{"1", `a"b`, "2", ""}, b.Args())
}

func TestBatchPanics(t *testing.T) {
	t.Parallel()
	require.PanicsWithValue(t, "registry: Where with 1 columns for a key of 2", func() {
		registry.Batch{Key: compositeKey}.Where("a")
	})
	require.Panics(t, func() { registry.Batch{}.Where() })
	require.PanicsWithValue(t, `registry: Args: key "1" is not a JSON array of 2 texts`, func() {
		registry.Batch{Key: compositeKey, After: "1", End: "2"}.Args()
	})
}

func TestKeyValues(t *testing.T) {
	t.Parallel()
	values, err := bigintKey.Values("[1")
	require.NoError(t, err)
	require.Equal(t, []string{"[1"}, values)

	for _, rendered := range []string{"", "1", "{}", `["1"]`, `["1", "2", "3"]`, `[1, "2"]`, `["1", null]`, `["1", "2"] x`, "null"} {
		_, err := compositeKey.Values(rendered)
		require.Error(t, err, rendered)
	}
	_, err = registry.Key{}.Values("1")
	require.ErrorContains(t, err, "key has no columns")
}

func FuzzKeyValues(f *testing.F) {
	f.Add("1", `a"b`)
	f.Add("", "\u2028\n<é>")
	f.Fuzz(func(t *testing.T, a, b string) {
		want := []string{strings.ToValidUTF8(a, ""), strings.ToValidUTF8(b, "")}
		rendered, err := json.Marshal(want)
		require.NoError(t, err)
		values, err := compositeKey.Values(string(rendered))
		require.NoError(t, err)
		require.Equal(t, want, values)

		_, _ = compositeKey.Values(a) // whatever it is, it does not panic
	})
}
