package registry_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/registry"
)

// rendered and placeholder are the two sides of one replacement. The type's
// name is one that no text brings along.
var (
	fuzzKey     = registry.Key{{Name: "k", Type: "\x01"}}
	rendered    = regexp.MustCompile(`^(\(\$[12]::\x01\)|\([^()\x01]*"k" >=? \$1::\x01 AND [^()\x01]*"k" <= \$2::\x01\))`)
	placeholder = regexp.MustCompile(`^:(range\([^)]*\)|range|start|end)`)
)

func FuzzParseStatement(f *testing.F) {
	for _, text := range opaque {
		f.Add("SELECT " + text + "\n FROM t WHERE :range")
	}
	for _, text := range []string{
		"", ";", "UPDATE t SET n = 1 WHERE :range", "DELETE FROM t WHERE id BETWEEN :start AND :end;",
		"SELECT a[:b:c]::d WHERE :range(\"x\"\"y\" . z)", "SELECT $1$a$:range$a$", "SELECT E'\\", "SELECT /*/*:range*/", "SELECT '\xff'",
		"WITH x AS (SELECT 1) SELECT :start,:end,:range(x)", "SELECT a[(:start)]:::end", "SELECT :range(", "SELECT [[[:x",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if strings.Contains(text, "\x01") {
			t.Skip("the marker itself")
		}
		statement, err := registry.ParseStatement(text)
		if err != nil {
			var where *registry.StatementError
			require.ErrorAs(t, err, &where)
			require.LessOrEqual(t, where.Line, 1+strings.Count(text, "\n"))
			require.LessOrEqual(t, where.Column, 1+len(text))
			require.NotContains(t, where.Error(), "\x00")
			return
		}
		statement.Assigns(`"public"."t"`, "id")
		for _, first := range []bool{false, true} {
			bound, err := statement.Bind(fuzzKey, first)
			require.NoError(t, err)
			requireOnlyReplaced(t, text, bound)
		}
	})
}

// requireOnlyReplaced walks along both texts: they are the same but for at
// least one placeholder on the one side and its rendering on the other.
func requireOnlyReplaced(t *testing.T, text, bound string) {
	t.Helper()
	replaced := 0
	for text != "" || bound != "" {
		if there := rendered.FindString(bound); there != "" {
			here := placeholder.FindString(text)
			require.NotEmpty(t, here, "%q stands for nothing", there)
			text, bound = text[len(here):], bound[len(there):]
			replaced++
			continue
		}
		require.NotEmpty(t, text)
		require.NotEmpty(t, bound)
		require.Equal(t, text[0], bound[0])
		text, bound = text[1:], bound[1:]
	}
	require.Positive(t, replaced)
}

// FuzzStatementContents hides a content in everything that quotes.
func FuzzStatementContents(f *testing.F) {
	for _, content := range []string{
		":range", "$1", ";", "it's", `\`, `\'`, `"`, "$$", "$q$", "/*", "*/", "--", "-- :start\n:end", "E'", "::", "é:range", "\r:range", "$", "$q",
	} {
		f.Add(content)
	}
	f.Fuzz(func(t *testing.T, content string) {
		content = strings.ToValidUTF8(strings.ReplaceAll(content, "\x00", ""), "")
		for _, quoted := range quotings(content) {
			text := "SELECT " + quoted + "\n, 1 FROM t WHERE "
			statement, err := registry.ParseStatement(text + ":range")
			require.NoError(t, err, text)
			bound, err := statement.Bind(bigintKey, false)
			require.NoError(t, err)
			require.Equal(t, text+`("id" > $1::bigint AND "id" <= $2::bigint)`, bound)
		}
	})
}

// quotings returns the content as every kind of constant, name and comment that can hold it.
func quotings(content string) []string {
	doubled := strings.ReplaceAll(content, "'", "''")
	escaped := strings.NewReplacer(`\`, `\\`, "'", `\'`).Replace(content)
	all := []string{
		"'" + doubled + "'",
		"U&'" + doubled + "'",
		"E'" + escaped + "'",
		"e'" + strings.ReplaceAll(doubled, `\`, `\\`) + "'\n\t'" + escaped + "'",
		`"` + strings.ReplaceAll(content, `"`, `""`) + `"`,
		"1 --" + strings.NewReplacer("\n", " ", "\r", " ").Replace(content),
	}
	for _, tag := range []string{"$$", "$q$", "$é_1$"} {
		if !strings.Contains(content+"$", tag) {
			all = append(all, tag+content+tag)
		}
	}
	if !strings.ContainsAny(content, "*/") {
		all = append(all, "1 /*"+content+"*/", "1 /*/*"+content+"*/"+content+"*/")
	}
	return all
}
