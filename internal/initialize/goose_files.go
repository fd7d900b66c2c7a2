package initialize

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/bbmd-dev/bbmd/internal/history"
)

// checkedFiles is a directory of migrations in which a file that was checked
// stays as it was then, however often goose reads it: an editor may be at work on it.
type checkedFiles struct {
	fs.FS
	content map[string][]byte // by name in the directory
}

func newCheckedFiles(dir string) checkedFiles {
	return checkedFiles{FS: os.DirFS(dir), content: map[string][]byte{}}
}

// check returns the text of a step's file, which has to be what was looked at when the run was
// planned, and keeps it. A step in Go has none.
func (c checkedFiles) check(step history.Step) (string, error) {
	if step.File == "" || !strings.HasSuffix(step.File, ".sql") {
		return "", nil
	}
	content, err := os.ReadFile(step.File)
	if err != nil {
		return "", err
	}
	if step.Checksum != "" && sumOfBytes(content) != step.Checksum {
		return "", errors.New("it was changed since this run began: run it again")
	}
	c.content[filepath.Base(step.File)] = content
	return strings.ReplaceAll(string(content), "\r\n", "\n"), nil // as goose reads it
}

// Open opens the file, or what it was when it was checked.
func (c checkedFiles) Open(name string) (fs.File, error) {
	file, err := c.FS.Open(name)
	content, checked := c.content[name]
	if err != nil || !checked {
		return file, err
	}
	return checkedFile{File: file, Reader: bytes.NewReader(content)}, nil
}

// checkedFile is an open file with the content of before.
type checkedFile struct {
	fs.File
	*bytes.Reader
}

// Read reads what was checked.
func (f checkedFile) Read(p []byte) (int, error) { return f.Reader.Read(p) }
