package main

import (
	"fmt"
	"os"

	"github.com/bbmd-dev/bbmd/examples/plugins/go/phones" //nolint:depguard // the rule is about bbmd's own plugins
	"github.com/bbmd-dev/bbmd/plugins/sdk"
)

func main() {
	if err := sdk.Serve(phones.Normalize); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
