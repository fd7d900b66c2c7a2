package registry_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/registry"
)

func TestDescribe(t *testing.T) {
	t.Parallel()
	require.Equal(t, []registry.ArgumentInfo{
		{Name: "note", Type: "string"},
		{Name: "from", Type: "string"},
		{Name: "to", Type: "string", Nullable: true},
		{Name: "limit", Type: "number"},
		{Name: "nested", Type: "object"},
		{Name: "Plain", Type: "boolean"},
	}, registry.Work{Arguments: (*arguments)(nil)}.Describe())
	require.Empty(t, registry.Work{}.Describe())
}
