package catalog_test

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/internal/catalog"
	"github.com/bbmd-dev/bbmd/testing/pgtest"
)

func TestEverythingIsInTheSnapshot(t *testing.T) {
	t.Parallel()
	snapshot := take(t, everything(t).Conn(t), catalog.Options{})

	var objects []string
	for _, o := range snapshot.Objects {
		objects = append(objects, o.Kind+" "+o.Schema+" "+o.Name)
		for _, p := range o.Parts {
			objects = append(objects, "  "+p.Kind+" "+p.Name)
		}
	}
	text := ""
	for _, line := range objects {
		text += line + "\n"
	}
	golden(t, "everything.txt", text)
	_ = slices.Clone[[]string]
}

func TestEmptyDatabaseHasNothing(t *testing.T) {
	t.Parallel()
	db := pgtest.NewEmpty(t).Conn(t)
	text, err := json.Marshal(take(t, db, catalog.Options{}))
	require.NoError(t, err)
	require.JSONEq(t, `{"objects":[{"kind":"extension","name":"plpgsql","properties":{"schema":"pg_catalog"}}]}`, string(text))
}
