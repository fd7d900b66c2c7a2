package plugins

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// Dir is a directory of plugins that only its owner can write: root, or the
// user that runs bbmd. What it hands out was checked in the same way, after
// links were followed, and lies in the directory. It is not for concurrent use.
type Dir struct {
	path string // as it was given
	real string // without links
	root *os.Root
}

// OpenDir opens a directory. Its error wraps [fs.ErrNotExist] where there is none.
func OpenDir(path string) (*Dir, error) {
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return nil, fmt.Errorf("open plugin directory: %w", err)
	}
	if real, err = filepath.Abs(real); err != nil {
		return nil, fmt.Errorf("open plugin directory: %w", err)
	}
	root, err := os.OpenRoot(real)
	if err != nil {
		return nil, fmt.Errorf("open plugin directory: %w", err)
	}
	d := &Dir{path: path, real: real, root: root}
	if err := d.checkDirectory("."); err != nil {
		_ = root.Close() // it was only looked at
		return nil, fmt.Errorf("open plugin directory: %w", err)
	}
	return d, nil
}

// Close releases the directory.
func (d *Dir) Close() error { return d.root.Close() }

// Path returns where an entry is, as it is shown to people.
func (d *Dir) Path(name string) string { return filepath.Join(d.path, name) }

// Entry is a file or directory of a [Dir].
type Entry struct {
	Name      string // relative to the directory
	Directory bool
	Err       error // it must not be used, and why
}

// Entries lists the files and directories by name, but for those that begin
// with a dot: editors leave such files behind, and a mounted ConfigMap keeps its
// versions in them.
func (d *Dir) Entries() ([]Entry, error) {
	listed, err := fs.ReadDir(d.root.FS(), ".")
	if err != nil {
		return nil, fmt.Errorf("list plugin directory %s: %w", d.path, err)
	}
	var entries []Entry
	for _, l := range listed {
		if strings.HasPrefix(l.Name(), ".") {
			continue
		}
		entry := Entry{Name: l.Name()}
		info, err := d.root.Stat(l.Name())
		if err != nil {
			entry.Err = d.explain(l.Name(), err)
		} else {
			entry.Directory = info.IsDir()
		}
		entries = append(entries, entry)
	}
	return entries, nil
}

// Open opens a regular file for reading, links followed. The caller closes it.
func (d *Dir) Open(name string) (*os.File, error) {
	// Whatever is no regular file must not keep us waiting for its other end.
	file, err := d.root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, d.explain(name, err)
	}
	if err := d.checkFile(name, file); err != nil {
		_ = file.Close() // it was only looked at
		return nil, err
	}
	return file, nil
}

func (d *Dir) checkFile(name string, file *os.File) error {
	info, err := file.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%s is not a file", d.Path(name))
	}
	if err := checkWriters(d.Path(name), file, info); err != nil {
		return err
	}
	return d.checkWay(name)
}

// Read returns the content of a regular file of at most limit bytes.
func (d *Dir) Read(name string, limit int64) ([]byte, error) {
	file, err := d.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }() // it was only read
	content, err := io.ReadAll(io.LimitReader(file, limit+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", d.Path(name), err)
	}
	if int64(len(content)) > limit {
		return nil, fmt.Errorf("%s has more than %d bytes: split it", d.Path(name), limit)
	}
	return content, nil
}

// checkWay checks the directories between the root and an entry, where it
// really is.
func (d *Dir) checkWay(name string) error {
	real, err := filepath.EvalSymlinks(filepath.Join(d.real, name))
	if err != nil {
		return err
	}
	within, err := filepath.Rel(d.real, real)
	if err != nil {
		return err
	}
	if !filepath.IsLocal(within) {
		return d.explain(name, errEscapes)
	}
	for way := filepath.Dir(within); way != "."; way = filepath.Dir(way) {
		if err := d.checkDirectory(way); err != nil {
			return err
		}
	}
	return nil
}

func (d *Dir) checkDirectory(name string) error {
	file, err := d.root.Open(name)
	if err != nil {
		return d.explain(name, err)
	}
	defer func() { _ = file.Close() }() // it was only looked at
	info, err := file.Stat()
	if err != nil {
		return err
	}
	return checkWriters(d.Path(name), file, info)
}

var errEscapes = errors.New("it leads out of the plugin directory")

// explain says what can be done about an entry that does not open.
func (d *Dir) explain(name string, err error) error {
	path := d.Path(name)
	info, lerr := d.root.Lstat(name)
	if lerr != nil || info.Mode()&fs.ModeSymlink == 0 {
		return fmt.Errorf("open %s: %w", path, bare(err))
	}
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s is a link to nothing: %w", path, fs.ErrNotExist)
	}
	return fmt.Errorf("%s is a link that is not followed: %w: put the file itself there, or a relative link to one in the directory", path, bare(err))
}

// bare drops what the error says of the path, which the message has already.
func bare(err error) error {
	if pathError, ok := errors.AsType[*fs.PathError](err); ok {
		return pathError.Err
	}
	return err
}
