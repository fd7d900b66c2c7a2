package health_test

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/internal/health"
)

func TestReadySaysEveryReason(t *testing.T) {
	t.Parallel()
	server := health.New(health.Options{})
	require.NoError(t, server.Ready(t.Context()))
	one, other := health.NewCondition("schema/auth"), health.NewCondition("listener/auth")
	server.AddReady(one, other)
	one.Set(errors.New("2 pending"))
	require.EqualError(t, server.Ready(t.Context()), "listener/auth: not known yet\nschema/auth: 2 pending")
	one.Set(nil)
	other.Set(nil)
	require.NoError(t, server.Ready(t.Context()))
}
