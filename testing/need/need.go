package need

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"
)

// patience bounds a look at one program.
const patience = 2 * time.Minute

// Program returns the path of a program of [Tools], by its name on the PATH.
// Where there is none that works it fails the test if [InCI], and skips it
// elsewhere.
func Program(tb testing.TB, name string) string {
	tb.Helper()
	tool, ok := known(name)
	if !ok {
		tb.Fatalf("testing/need does not know the program %s: add it to Tools, so that `make programs` installs it", name)
	}
	path, err := once(tool)
	switch {
	case err == nil:
	case InCI():
		tb.Fatalf("%v; %s", err, tool.wayOut())
	default:
		tb.Skipf("SKIPPED for want of %s: %v; %s", tool.For, err, tool.wayOut())
	}
	return path
}

// InCI says whether a missing program is a failure: the variable CI is set, and
// not to false.
func InCI() bool {
	value := strings.ToLower(os.Getenv("CI"))
	return value != "" && value != "0" && value != "false"
}

// Find returns the path of a tool that works, or what is wrong with it.
func Find(ctx context.Context, tool Tool) (string, error) {
	path, err := exec.LookPath(tool.Name)
	if err != nil {
		return "", fmt.Errorf("%s is not installed: %w", tool.Name, err)
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := tool.works(ctx, path); err != nil {
		return "", fmt.Errorf("%s does not work: %w", path, err)
	}
	return path, nil
}

func (t Tool) wayOut() string {
	return "install it (`make programs`; on Debian: apt-get install " + strings.Join(t.Packages, " ") + ")"
}

// finds holds what was found in this process, by PATH and name: a look costs
// up to a second, and many tests need the same program.
//
//nolint:gochecknoglobals // what is on the machine is the process's
var finds sync.Map

type find func() (string, error)

func once(tool Tool) (string, error) {
	look := find(sync.OnceValues(func() (string, error) { return Find(context.Background(), tool) }))
	stored, _ := finds.LoadOrStore(os.Getenv("PATH")+"\x00"+tool.Name, look)
	return stored.(find)() //nolint:forcetypeassert,errcheck // nothing else is stored
}
