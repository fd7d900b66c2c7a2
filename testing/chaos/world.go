package chaos

import (
	"cmp"
	_ "embed"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"github.com/bbmd-dev/bbmd/internal/pgserver"
)

//go:embed testdata/world.c
var worldSource string

// The world's layout, as testdata/world.c has it.
const (
	worldFull    = 8
	worldRefused = 16
	worldDisk    = 24
	worldSize    = 1024
)

// world is what a server believes of the machine it runs on: what time it is,
// and whether its disk has room. It stands between the server's processes and the
// C library, takes no privileges, and changes under a server that runs.
type world struct {
	tb     testing.TB
	dir    string
	memory []byte
	disks  []string // file systems of its own
}

// newWorld builds a world in which all is well. It ends with the test, after the server.
func newWorld(tb testing.TB) *world {
	tb.Helper()
	dir, err := os.MkdirTemp("", "chaos-world-") //nolint:usetesting // the server's user could not enter a test's own
	if err != nil {
		tb.Fatal(err)
	}
	w := &world{tb: tb, dir: dir}
	tb.Cleanup(func() {
		_ = syscall.Munmap(w.memory)
		for _, disk := range w.disks {
			unmountDisk(disk)
		}
		_ = os.RemoveAll(dir)
	})
	w.write("world.c", worldSource, 0o600)
	w.write("world", string(make([]byte, worldSize)), 0o600)
	w.command(cmp.Or(os.Getenv("CC"), "cc"), "-shared", "-fPIC", "-O2", "-o", w.path("world.so"), w.path("world.c"), "-ldl")
	// The user that the server runs as, where this is root, enters and writes here.
	for path, mode := range map[string]os.FileMode{dir: 0o755, w.path("world"): 0o666, w.path("world.so"): 0o755} {
		if err := os.Chmod(path, mode); err != nil {
			tb.Fatal(err)
		}
	}
	file, err := os.OpenFile(w.path("world"), os.O_RDWR, 0)
	if err != nil {
		tb.Fatal(err)
	}
	defer file.Close() //nolint:errcheck // it stays mapped
	if w.memory, err = syscall.Mmap(int(file.Fd()), 0, worldSize, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_SHARED); err != nil {
		tb.Fatal(err)
	}
	return w
}

func (w *world) path(name string) string { return filepath.Join(w.dir, name) }

func (w *world) write(name, content string, mode os.FileMode) {
	w.tb.Helper()
	if err := os.WriteFile(w.path(name), []byte(content), mode); err != nil {
		w.tb.Fatal(err)
	}
}

func (w *world) command(program string, args ...string) {
	w.tb.Helper()
	if output, err := exec.CommandContext(w.tb.Context(), program, args...).CombinedOutput(); err != nil { //nolint:gosec // the test's own programs
		w.tb.Fatalf("%s: %v: %s", program, err, output)
	}
}

// binaries returns the programs of the server that is to live in this world.
func (w *world) binaries() pgserver.Binaries {
	w.tb.Helper()
	found, err := pgserver.Find(w.tb.Context())
	if err != nil {
		w.tb.Fatal(err)
	}
	bin := w.path("bin")
	if err := os.Mkdir(bin, 0o755); err != nil { //nolint:gosec // the server's user enters it
		w.tb.Fatal(err)
	}
	for _, name := range []string{"initdb", "pg_ctl"} {
		if err := os.Symlink(filepath.Join(found.Dir, name), filepath.Join(bin, name)); err != nil {
			w.tb.Fatal(err)
		}
	}
	w.write("bin/postgres", "#!/bin/sh\nCHAOS_WORLD="+w.path("world")+" LD_PRELOAD="+w.path("world.so")+" exec "+filepath.Join(found.Dir, "postgres")+" \"$@\"\n", 0o600)
	if err := os.Chmod(filepath.Join(bin, "postgres"), 0o755); err != nil { //nolint:gosec // as above
		w.tb.Fatal(err)
	}
	found.Dir = bin
	return found
}

// mount makes a directory a file system of its own, which takes the right to mount. It ends with the world,
// after the server.
func (w *world) mount(disk string, owner *syscall.Stat_t) error {
	if err := mountDisk(disk, owner.Uid, owner.Gid); err != nil {
		return err
	}
	w.disks = append(w.disks, disk)
	return nil
}

// number is one of the world's numbers, which the server's processes read at any time.
func (w *world) number(at int) *int64 {
	return (*int64)(unsafe.Pointer(&w.memory[at])) //nolint:gosec // the map is aligned and stays for as long as the world
}

// step sets the server's clock so far ahead of the true time, or behind it.
func (w *world) step(by time.Duration) { atomic.StoreInt64(w.number(0), int64(by)) }

// fill leaves no room in files whose path contains disk.
func (w *world) fill(disk string) {
	copy(w.memory[worldDisk:worldSize-1], disk+"\x00")
	atomic.StoreInt64(w.number(worldRefused), 0)
	atomic.StoreInt64(w.number(worldFull), 1)
}

// free ends what fill has begun.
func (w *world) free() { atomic.StoreInt64(w.number(worldFull), 0) }

// refused reports whether a write was since fill.
func (w *world) refused() bool { return atomic.LoadInt64(w.number(worldRefused)) != 0 }
