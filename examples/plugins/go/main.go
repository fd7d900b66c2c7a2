package main

import (
	"fmt"
	"os"

	"github.com/bbmd-dev/bbmd/examples/plugins/go/phones"
	"github.com/bbmd-dev/bbmd/plugins/sdk"
)

func main() {
	if err := sdk.Serve(phones.Normalize); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
