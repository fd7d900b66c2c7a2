package main_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	main "github.com/bbmd-dev/bbmd/cmd/bbmd"
)

func TestAsk(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		answer string
		code   int
	}{{"shop\n", 0}, {" shop \n", 0}, {"shop", 0}, {"yes\n", 73}, {"\n", 73}, {"", 73}, {"shopping\n", 73}} {
		var out bytes.Buffer
		exit, err := main.Ask(strings.NewReader(test.answer), &out, "everything would be dropped", "shop")
		require.Equal(t, test.code, exit, "%q", test.answer)
		require.Equal(t, "everything would be dropped.\nType shop to go on: ", out.String())
		if test.code != 0 {
			require.ErrorContains(t, err, "not confirmed: shop was not typed")
		}
	}
}
