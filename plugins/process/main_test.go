package process_test

import (
	"os"
	"strings"
	"testing"

	"github.com/bbmd-dev/bbmd/testing/pgtest"
)

// childFlag begins the argument that makes the test binary a plugin's program.
const childFlag = "child="

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && strings.HasPrefix(os.Args[1], childFlag) {
		os.Exit(beChild(strings.TrimPrefix(os.Args[1], childFlag), os.Args[2:])) //nolint:forbidigo // it stands for main
	}
	pgtest.Main(m)
}
