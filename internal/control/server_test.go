package control_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/internal/control"
)

func TestServersThatAreTooOldAreRefused(t *testing.T) {
	t.Parallel()
	for number, version := range map[int]string{130000: "13.0", 130023: "13.23", 180004: "18.4", 190000: "19beta1"} {
		require.NoError(t, control.Supported(number, version))
	}
	for number, version := range map[int]string{120022: "12.22", 90624: "9.6.24"} {
		err := control.Supported(number, version)
		require.ErrorIs(t, err, control.ErrOldServer)
		require.ErrorContains(t, err, "it is PostgreSQL "+version+", and bbmd needs 13 or newer: upgrade the server")
	}
}
