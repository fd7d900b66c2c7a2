package need

import (
	"os"
	"syscall"
	"testing"
)

// Executable writes a program or a script that may be run at once. A file that some process
// still has open for writing cannot be ("text file busy"), and a test that starts a process at the same moment lends it
// all open files until that process becomes its program: so no process is started meanwhile.
func Executable(tb testing.TB, path string, content []byte) {
	tb.Helper()
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	if err := os.WriteFile(path, content, 0o755); err != nil { //nolint:gosec // others may have to run it
		tb.Fatal(err)
	}
}
