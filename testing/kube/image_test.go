package kube_test

import (
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// product is the program that the pods run.
const product = "../../bin/bbmd"

// importing lets one image in at a time: each is in memory.
var importing sync.Mutex

// image makes an image of a release, bbmd with migrations, and gives it to the
// node. Its name has a tag.
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
	for _, path := range slices.Sorted(maps.Keys(files)) {
		file := filepath.Join(dir, filepath.Base(path))
		require.NoError(t, os.WriteFile(file, []byte(files[path]), 0o600))
		args = append(args, "--file", file+":/migrations/"+path+":644")
	}
	importing.Lock()
	defer importing.Unlock()
	out, err := exec.CommandContext(t.Context(), filepath.Join(r.scripts, "mkimage.py"), args...).CombinedOutput()
	require.NoError(t, err, "%s", out)
	r.containerd(t, "images", "import", "--snapshotter", "overlayfs", archive)
}
