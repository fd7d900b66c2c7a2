package catalog_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/internal/catalog"
)

// properties makes a map of pairs.
func properties(pairs ...string) map[string]string {
	all := make(map[string]string)
	for i := 0; i < len(pairs); i += 2 {
		all[pairs[i]] = pairs[i+1]
	}
	return all
}

func object(kind, schema, name string, props map[string]string, parts ...catalog.Part) catalog.Definition {
	return catalog.Definition{Kind: kind, Schema: schema, Name: name, Properties: props, Parts: parts}
}

func snapshotOf(objects ...catalog.Definition) catalog.Snapshot {
	return catalog.Snapshot{Objects: objects}
}

// body is a function's definition of many lines.
func body(marker string, count int) string {
	var text strings.Builder
	text.WriteString("CREATE OR REPLACE FUNCTION long()\n")
	for i := range count {
		fmt.Fprintf(&text, "  %s %d;\n", marker, i)
	}
	text.WriteString("END\n")
	return text.String()
}

func declaredShop() catalog.Snapshot {
	return snapshotOf(
		object("extension", "", "citext", properties("schema", "public")),
		object("extension", "", "hstore", properties("schema", "public")),
		object("function", "public", "long()", properties("definition", body("old", 20))),
		object("function", "public", "Short(text)", properties("definition", "CREATE\n  a\n  b\nEND")),
		object("operator class", "public", "Odd USING btree", properties("type", "integer")),
		object("schema", "", "billing", nil),
		object("table", "billing", "invoice", properties("row security", "disabled"),
			catalog.Part{Kind: "column", Name: "due", Properties: properties("type", "timestamp with time zone", "null", "NOT NULL", "default", "now()")},
			catalog.Part{Kind: "column", Name: "Gone", Properties: properties("type", "text")},
			catalog.Part{Kind: "index", Name: "invoice_due_idx", Properties: properties("definition", "CREATE INDEX …", "state", "valid")}),
		object("table", "billing", "same", nil),
		object("table", "billing", "part_1", properties("parent", "billing.invoice")),
	)
}

func actualShop() catalog.Snapshot {
	return snapshotOf(
		object("extension", "", "citext", properties("schema", "extensions")),
		object("extension", "", "pg_stat_statements", properties("schema", "public")),
		object("function", "public", "long()", properties("definition", body("new", 20))),
		object("function", "public", "Short(text)", properties("definition", "CREATE\n  b\n  c\nEND")),
		object("schema", "", "monitoring", nil),
		object("table", "billing", "invoice", properties("row security", "enabled"),
			catalog.Part{Kind: "column", Name: "due", Properties: properties("type", "date", "null", "NULL")},
			catalog.Part{Kind: "column", Name: "note", Properties: properties("type", "text")},
			catalog.Part{Kind: "index", Name: "invoice_due_idx", Properties: properties("definition", "CREATE INDEX …", "state", "invalid")}),
		object("table", "billing", "same", nil),
		object("table", "billing", "part_2", properties("parent", "billing.invoice")),
		object("table", "", "2nd", nil),
		object("table", "public", "Old Table", nil),
	)
}

func TestDifferenceGolden(t *testing.T) {
	t.Parallel()
	difference := catalog.Compare(declaredShop(), actualShop())
	golden(t, "difference.txt", difference.String())
	text, err := json.MarshalIndent(difference, "", "  ")
	require.NoError(t, err)
	golden(t, "difference.json", string(text)+"\n")

	var back catalog.Difference
	require.NoError(t, json.Unmarshal(text, &back))
	require.Equal(t, difference, back)
}

func TestNoDifference(t *testing.T) {
	t.Parallel()
	difference := catalog.Compare(declaredShop(), declaredShop())
	require.True(t, difference.Empty())
	require.Empty(t, difference.String())
	text, err := json.Marshal(difference)
	require.NoError(t, err)
	require.JSONEq(t, `{"objects":[]}`, string(text))
	require.True(t, catalog.Difference{}.Empty())
	require.True(t, catalog.Compare(catalog.Snapshot{}, snapshotOf(object("schema", "", "s", nil), object("extension", "", "e", nil))).Empty())
}

func TestDifferenceWithoutExtraPartitions(t *testing.T) {
	t.Parallel()
	all := catalog.Compare(declaredShop(), actualShop())
	require.Contains(t, all.String(), "table billing.part_2 is not declared\n")
	rest := all.WithoutExtraPartitions()
	require.Equal(t, strings.Replace(all.String(), "table billing.part_2 is not declared\n", "", 1), rest.String())
	require.Contains(t, rest.String(), "table billing.part_1 is missing\n")
}
