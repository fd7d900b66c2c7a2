package plugins

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"
)

// The bounds of a directory that is one plugin.
const (
	maxTreeFiles = 10_000
	maxTreeBytes = 512 << 20
)

// Digest returns the digest of everything in a directory of the Dir: the sorted
// list of its files' paths, whether they can be executed, and the digests of
// their contents. Owners and times do not count, nor do names that begin with
// two dots, in which a ConfigMap keeps its versions. It refuses what [Dir.Open]
// refuses, links to directories, and more than 10,000 files or 512 MiB.
func (d *Dir) Digest(name string) (string, error) {
	t := tree{dir: d, top: name}
	if err := fs.WalkDir(d.root.FS(), path.Clean(name), t.visit); err != nil {
		return "", fmt.Errorf("digest of %s: %w", d.Path(name), err)
	}
	return Digest([]byte(t.list.String())), nil
}

// tree collects what a digest is made of.
type tree struct {
	dir   *Dir
	top   string
	list  strings.Builder
	files int
	bytes int64
}

func (t *tree) visit(name string, entry fs.DirEntry, err error) error {
	switch {
	case err != nil:
		return err
	case name != t.top && strings.HasPrefix(entry.Name(), ".."):
		if entry.IsDir() {
			return fs.SkipDir
		}
		return nil
	case entry.IsDir():
		return t.dir.checkDirectory(name)
	}
	if t.files++; t.files > maxTreeFiles {
		return fmt.Errorf("more than %d files: keep what the plugin does not need elsewhere", maxTreeFiles)
	}
	return t.add(name)
}

func (t *tree) add(name string) error {
	file, err := t.dir.Open(name)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }() // it was only read
	info, err := file.Stat()
	if err != nil {
		return err
	}
	sum := sha256.New()
	n, err := io.Copy(sum, io.LimitReader(file, maxTreeBytes-t.bytes+1))
	if err != nil {
		return fmt.Errorf("read %s: %w", t.dir.Path(name), err)
	}
	if t.bytes += n; t.bytes > maxTreeBytes {
		return fmt.Errorf("more than %d MiB: keep what the plugin does not need elsewhere", maxTreeBytes>>20)
	}
	mode := "-"
	if info.Mode()&0o111 != 0 {
		mode = "x"
	}
	relative := strings.TrimPrefix(strings.TrimPrefix(name, path.Clean(t.top)), "/")
	t.list.WriteString(relative + "\x00" + mode + "\x00" + hex.EncodeToString(sum.Sum(nil)) + "\n")
	return nil
}
