package kube_test

import (
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// product is the program that the pods run.
const product = "../../bin/bbmd"

// importing lets one image in at a time: each is in memory.
var importing sync.Mutex

// image makes an image of a release, bbmd with migrations, and gives it to the
// node. Its name has a tag. The files are in /migrations, or where their paths say.
func (r *rig) image(t *testing.T, name string, migrations map[string]string) {
	t.Helper()
	r.imageOf(t, name, product, migrations)
}

func (r *rig) imageOf(t *testing.T, name, program string, files map[string]string) {
	t.Helper()
	require.FileExists(t, program, "`make build` makes it")
	dir := t.TempDir()
	archive := filepath.Join(dir, "image.tar")
	args := []string{name, archive, "--file", program + ":/bbmd", "--entrypoint", `["/bbmd"]`, "--cmd", `["run"]`}
	for i, path := range slices.Sorted(maps.Keys(files)) {
		file := filepath.Join(dir, strconv.Itoa(i))
		require.NoError(t, os.WriteFile(file, []byte(files[path]), 0o600))
		if !filepath.IsAbs(path) {
			path = "/migrations/" + path
		}
		args = append(args, "--file", file+":"+path+":644")
	}
	importing.Lock()
	defer importing.Unlock()
	out, err := exec.CommandContext(t.Context(), filepath.Join(r.scripts, "mkimage.py"), args...).CombinedOutput()
	require.NoError(t, err, "%s", out)
	r.containerd(t, "images", "import", "--snapshotter", "overlayfs", archive)
}
