package pgserver

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// EnvBin is the environment variable that names the server binaries to use: it
// is their directory, or the number of a major version, or the word "cache" for
// those that `make postgres` has fetched. PGBIN is understood too, for a directory.
const EnvBin = "BBMD_PGBIN"

// oldestMajor is the first version with DROP DATABASE ... WITH (FORCE).
const oldestMajor = 13

// Binaries are the programs of one PostgreSQL installation.
type Binaries struct {
	// Dir holds postgres, initdb and pg_ctl, and mostly pgbench and psql.
	Dir string
	// Version as the server gives it, for example "17.6".
	Version string
	// Major is the first number of Version.
	Major int
}

// Path returns the path of a program of this installation, for example
// "pgbench", and whether it is there.
func (b Binaries) Path(program string) (string, bool) {
	path := filepath.Join(b.Dir, program)
	info, err := os.Stat(path)
	return path, err == nil && info.Mode().IsRegular() && info.Mode().Perm()&0o111 != 0
}

// Wanted returns the major version that BBMD_PGBIN asks for, 0 where it asks
// for none. It refuses a version that bbmd does not run on.
func Wanted() (int, error) {
	major, err := strconv.Atoi(os.Getenv(EnvBin))
	switch {
	case err != nil:
		return 0, nil //nolint:nilerr // it is no number, but a directory or a word
	case major < oldestMajor:
		return 0, fmt.Errorf("%s asks for PostgreSQL %d, and %d or later is needed", EnvBin, major, oldestMajor)
	}
	return major, nil
}

// Find returns the server binaries to use: those that BBMD_PGBIN or PGBIN
// name, else the first that work, and are of the version that is wanted, of
// pg_config's, PATH's, those where systems install them (newest first), and
// those that `make postgres` fetched. The error says what was tried and what to
// install.
func Find(ctx context.Context) (Binaries, error) {
	wanted, err := Wanted()
	if err != nil {
		return Binaries{}, err
	}
	if wanted != 0 {
		return firstOf(ctx, wanted, slices.Concat(configDirs(ctx), pathDirs(), installDirs("/"), cacheDirs()))
	}
	for _, name := range []string{EnvBin, "PGBIN"} {
		value := os.Getenv(name)
		if value == "" || value == "cache" {
			continue
		}
		binaries, err := inspect(ctx, value)
		if err != nil {
			return Binaries{}, fmt.Errorf("%s: %w", name, err)
		}
		return binaries, nil
	}
	dirs := slices.Concat(configDirs(ctx), pathDirs(), installDirs("/"))
	if os.Getenv(EnvBin) == "cache" {
		dirs = nil
	}
	return firstOf(ctx, 0, append(dirs, cacheDirs()...))
}

// firstOf returns the first directory's binaries that work and are of the
// major version that is wanted, if any is.
func firstOf(ctx context.Context, wanted int, dirs []string) (Binaries, error) {
	var refused []error
	seen := map[string]bool{}
	for _, dir := range dirs {
		if seen[dir] {
			continue
		}
		seen[dir] = true
		binaries, err := inspect(ctx, dir)
		switch {
		case err == nil && (wanted == 0 || wanted == binaries.Major):
			return binaries, nil
		case err == nil:
			refused = append(refused, fmt.Errorf("%s/postgres is version %q, %d is wanted", dir, binaries.Version, wanted))
		case !errors.Is(err, os.ErrNotExist):
			refused = append(refused, err)
		}
	}
	version := fmt.Sprintf("%d or later", oldestMajor)
	if wanted != 0 {
		version = strconv.Itoa(wanted)
	}
	missing := fmt.Errorf("no PostgreSQL server (version %s) found: %s", version, installHint())
	return Binaries{}, errors.Join(append([]error{missing}, refused...)...)
}

// inspect asks the server in dir for its version, as the user that will run
// it, so that binaries hidden from that user are not chosen.
func inspect(ctx context.Context, dir string) (Binaries, error) {
	binaries := Binaries{Dir: dir}
	for _, program := range []string{"postgres", "initdb", "pg_ctl"} {
		if path, ok := binaries.Path(program); !ok {
			return Binaries{}, fmt.Errorf("%s is not a program: %w", path, os.ErrNotExist)
		}
	}
	runAs, err := serverAccount()
	if err != nil {
		return Binaries{}, err
	}
	out, err := runAs.command(ctx, filepath.Join(dir, "postgres"), "--version").CombinedOutput()
	if err != nil {
		return Binaries{}, fmt.Errorf("run %s/postgres: %w: %s", dir, err, strings.TrimSpace(string(out)))
	}
	binaries.Version, binaries.Major = parseVersion(string(out))
	if binaries.Major < oldestMajor {
		return Binaries{}, fmt.Errorf("%s/postgres is version %q, %d or later is needed", dir, binaries.Version, oldestMajor)
	}
	return binaries, nil
}

// parseVersion reads the output of `postgres --version`; a major of 0 says
// that there was none.
func parseVersion(output string) (version string, major int) {
	match := regexp.MustCompile(`\(PostgreSQL\) (\d+)(\S*)`).FindStringSubmatch(output)
	if match == nil {
		return strings.TrimSpace(output), 0
	}
	major, err := strconv.Atoi(match[1])
	if err != nil {
		return match[1] + match[2], 0
	}
	return match[1] + match[2], major
}

// configDirs asks pg_config, which knows where its installation lies.
func configDirs(ctx context.Context) []string {
	out, err := exec.CommandContext(ctx, "pg_config", "--bindir").Output()
	if err != nil {
		return nil
	}
	return []string{strings.TrimSpace(string(out))}
}

// pathDirs follows the links that distributions put on the PATH: initdb looks
// for its share directory relative to where it really lies.
func pathDirs() []string {
	path, err := exec.LookPath("postgres")
	if err != nil {
		return nil
	}
	if path, err = filepath.EvalSymlinks(path); err != nil {
		return nil
	}
	return []string{filepath.Dir(path)}
}
