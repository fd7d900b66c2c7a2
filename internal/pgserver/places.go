package pgserver

import (
	"cmp"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
)

// CacheDir is where `make postgres` keeps the server binaries that it fetches,
// one directory per version with a bin directory in it: of the user's cache
// folder, and for root one that the unprivileged user of its server can enter.
func CacheDir() string {
	if os.Geteuid() == 0 {
		return "/var/cache/bbmd/postgres"
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		dir = os.TempDir()
	}
	return filepath.Join(dir, "bbmd", "postgres")
}

// cacheDirs returns the binaries in CacheDir, newest first.
func cacheDirs() []string {
	return newestFirst(filepath.Join(CacheDir(), "*", "bin"))
}

// installDirs returns the existing directories where systems and packagers
// install servers, newest version first within each place.
func installDirs(root string) []string {
	var dirs []string
	for _, pattern := range []string{
		"usr/lib/postgresql/*/bin", // Debian, Ubuntu
		"usr/pgsql-*/bin",          // the PostgreSQL project's RPMs
		"usr/libexec/postgresql*",  // Alpine
		"usr/lib/postgresql*/bin",  // SUSE
		"usr/local/pgsql*/bin",     // built from source
		"usr/local/bin",            // the Docker image, FreeBSD
		"opt/homebrew/opt/postgresql*/bin",
		"usr/local/opt/postgresql*/bin",
		"home/linuxbrew/.linuxbrew/opt/postgresql*/bin",
		"Applications/Postgres.app/Contents/Versions/*/bin",
		"opt/local/lib/postgresql*/bin", // MacPorts
	} {
		dirs = append(dirs, newestFirst(filepath.Join(root, pattern))...)
	}
	return dirs
}

// newestFirst expands a pattern and sorts by the versions in the paths, as
// numbers: 9.6, 15, 17.
func newestFirst(pattern string) []string {
	paths, err := filepath.Glob(pattern)
	if err != nil {
		return nil
	}
	slices.SortStableFunc(paths, func(a, b string) int {
		return slices.Compare(versionOf(b), versionOf(a))
	})
	return paths
}

// versionOf returns the numbers in a path.
func versionOf(path string) []int {
	var numbers []int
	for _, digits := range regexp.MustCompile(`\d+`).FindAllString(path, -1) {
		number, err := strconv.Atoi(digits)
		if err != nil {
			return nil
		}
		numbers = append(numbers, number)
	}
	return numbers
}

// installHint says how to get a server on this system.
func installHint() string {
	hints := map[string]string{
		"darwin":  "run `brew install postgresql@17`",
		"freebsd": "run `pkg install postgresql17-server`",
		"linux":   "run `make postgres`, or install the package postgresql (Debian, Ubuntu, Alpine, Arch) or postgresql-server (Fedora, RHEL, SUSE)",
	}
	return cmp.Or(hints[runtime.GOOS], "install PostgreSQL") + ", or set " + EnvBin + " to the directory that holds postgres, initdb and pg_ctl"
}
