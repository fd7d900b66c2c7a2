package casefile_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/plugins/casefile"
	"github.com/bbmd-dev/bbmd/registry"
)

const good = `-- bbmd: case normalize_phone
-- bbmd: table users
-- bbmd: columns region, id
-- bbmd: arguments {"country": "+49"}
-- bbmd: refused {}
-- bbmd: refused {"country": "49"}
-- bbmd: volatile log.id
-- bbmd: once
-- bbmd: alone
-- a remark

-- bbmd: section setup -- of few rows
CREATE TABLE users (id bigint);
-- bbmd: section wrong
SELECT 1 -- kept
-- bbmd: section wrong
SELECT 2`

func TestParse(t *testing.T) {
	t.Parallel()
	got, err := casefile.Parse([]byte(good))
	require.NoError(t, err)
	require.Equal(t, casefile.Case{
		Work: "normalize_phone", Table: "users", Columns: []string{"region", "id"}, Arguments: `{"country": "+49"}`,
		Refused: []string{"{}", `{"country": "49"}`}, Volatile: []string{"log.id"}, Once: true, Alone: true,
		Setup: "CREATE TABLE users (id bigint);", Wrong: []string{"SELECT 1 -- kept", "SELECT 2"},
	}, got)
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	for content, says := range map[string]string{
		"": "no table in the header",
		"-- bbmd: table t\n-- bbmd: section wrong\nSELECT 1": "no section setup",
		"-- bbmd: table t\n-- bbmd: section setup\nSELECT 1": "no section wrong",
		"-- bbmd: tabel t":                               `1:1: unknown line "tabel", did you mean "table"?`,
		"-- bbmd: table t\n\nSELECT 1":                   "3:1: text before the first section",
		"-- bbmd: table t\n-- bbmd: table u":             `2:1: "table" for the second time`,
		"-- bbmd: arguments []":                          "1:1: arguments are no JSON object",
		"-- bbmd: arguments null":                        "1:1: arguments are no JSON object",
		"-- bbmd: section set up":                        `unknown section "set up"`,
		"-- bbmd: section setup\n-- bbmd: section setup": "2:1: section setup for the second time",
		"-- bbmd: section setup\n-- bbmd: once":          `2:1: "once" in a section`,
		"-- bbmd: table \xff":                            "is not text",
	} {
		_, err := casefile.Parse([]byte(content))
		require.ErrorContains(t, err, says, content)
		var place *registry.StatementError
		require.ErrorAs(t, err, &place, content)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(good))
	f.Add([]byte("-- bbmd: table t\r\n-- bbmd: section setup\r\nx\r\n-- bbmd: section wrong\r\ny"))
	f.Fuzz(func(t *testing.T, content []byte) {
		c, err := casefile.Parse(content)
		if err == nil && (c.Table == "" || c.Setup == "" || len(c.Wrong) == 0) {
			t.Errorf("it is not complete: %+v", c)
		}
	})
}
