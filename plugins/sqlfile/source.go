package sqlfile

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/bbmd-dev/bbmd/plugins"
	"github.com/bbmd-dev/bbmd/registry"
)

// MaxSize is how many bytes a file may have.
const MaxSize = 1 << 20

// extension is what a file's name ends in to be one of SQL.
const extension = ".sql"

// caseExtension is what the name of a file ends in that says how another one is
// tried; see plugins/casefile.
const caseExtension = ".test.sql"

// Source finds files of SQL: those whose names end in .sql and not in .test.sql, a
// Work each. Directories are not looked into.
type Source struct{}

var _ plugins.Source = Source{}

// Kind returns [plugins.KindSQL].
func (Source) Kind() plugins.Kind { return plugins.KindSQL }

// Scan reads all files of SQL in the directory.
func (Source) Scan(ctx context.Context, dir *plugins.Dir) ([]plugins.Candidate, error) {
	entries, err := dir.Entries()
	if err != nil {
		return nil, err
	}
	var found []plugins.Candidate
	for _, entry := range entries {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		if filepath.Ext(entry.Name) == extension && !strings.HasSuffix(entry.Name, caseExtension) && !entry.Directory {
			found = append(found, candidate(dir, entry))
		}
	}
	return found, nil
}

func candidate(dir *plugins.Dir, entry plugins.Entry) plugins.Candidate {
	c := plugins.Candidate{Name: strings.TrimSuffix(entry.Name, extension), Path: dir.Path(entry.Name), Err: entry.Err}
	if c.Err != nil {
		return c
	}
	content, err := dir.Read(entry.Name, MaxSize)
	if err != nil {
		c.Err = err
		return c
	}
	c.Digest = plugins.Digest(content)
	file, err := Parse(content)
	if err != nil {
		c.Err = describe(c.Path, err)
		return c
	}
	c.Name, c.Content = file.Name, file
	return c
}

// describe puts the path before an error, as compilers do.
func describe(path string, err error) error {
	if _, ok := errors.AsType[*registry.StatementError](err); ok {
		return fmt.Errorf("%s:%w", path, err)
	}
	return fmt.Errorf("%s: %w", path, err)
}

// Open returns the file's Work.
func (Source) Open(_ context.Context, c plugins.Candidate) (plugins.Opened, error) {
	file, ok := c.Content.(*File)
	if !ok {
		return nil, fmt.Errorf("%s was not found by this source", c.Path)
	}
	return &opened{file: file, path: c.Path}, nil
}

// opened is a file in use. There is nothing to close.
type opened struct {
	file *File
	path string
}

func (o *opened) Works() []registry.Work { return []registry.Work{o.file.Work()} }

func (o *opened) State() (plugins.State, string) { return plugins.StateOK, "" }

func (o *opened) Close() error { return nil }

// Prepare is that of the [File]. A database without the table is none that the
// file is for.
func (o *opened) Prepare(ctx context.Context, conn *pgx.Conn) error {
	err := o.file.Prepare(ctx, conn)
	if err == nil || errors.Is(err, ErrNoTable) {
		return nil
	}
	return describe(o.path, err)
}
