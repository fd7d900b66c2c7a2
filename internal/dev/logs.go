package dev

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/fsnotify/fsnotify"
)

// LogOptions say what [Environment.Logs] shows.
type LogOptions struct {
	Lines    int    // of the end; negative: all
	Follow   bool   // go on with what comes, until ctx ends
	Database string // only lines about this one; empty: all
	Postgres bool   // the private server's log
}

// Logs writes the end of a log to w.
func (e *Environment) Logs(ctx context.Context, w io.Writer, o LogOptions) error {
	path := e.LogPath()
	if o.Postgres {
		path = e.ServerLogPath()
	}
	f := follower{path: path, out: w, options: o}
	defer f.close()
	if !o.Follow {
		return f.tail()
	}
	watcher, err := fsnotify.NewWatcher()
	if err != nil {
		return fmt.Errorf("follow the log: %w", err)
	}
	defer watcher.Close() //nolint:errcheck // it has done its work
	if err := watcher.Add(filepath.Dir(path)); err != nil {
		return fmt.Errorf("follow the log: %w: is there an environment? `bbmd dev up` makes one", err)
	}
	if err := f.tail(); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return f.follow(ctx, watcher)
}

// follower reads a log as it grows.
type follower struct {
	path    string
	out     io.Writer
	options LogOptions
	file    *os.File
	rest    []byte // of a line that is not whole yet
}

// tail writes the last lines of what is there.
func (f *follower) tail() error {
	file, err := os.Open(f.path)
	if err != nil {
		return fmt.Errorf("open the log: %w: is there an environment? `bbmd dev up` makes one", err)
	}
	f.file = file
	var kept [][]byte
	err = f.lines(func(line []byte) error {
		kept = append(kept, bytes.Clone(line))
		if f.options.Lines >= 0 && len(kept) > f.options.Lines {
			kept = kept[1:]
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, line := range kept {
		if err := f.print(line); err != nil {
			return err
		}
	}
	return nil
}

// follow writes what comes until ctx ends, which is no error.
func (f *follower) follow(ctx context.Context, watcher *fsnotify.Watcher) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case err := <-watcher.Errors:
			return fmt.Errorf("follow the log: %w", err)
		case event := <-watcher.Events:
			if event.Name != f.path {
				continue
			}
		}
		if err := f.catchUp(); err != nil {
			return err
		}
	}
}

// catchUp writes what has come, also into a file that has taken the place of the old one.
func (f *follower) catchUp() error {
	if f.file != nil {
		if err := f.lines(f.print); err != nil {
			return err
		}
	}
	now, err := os.Stat(f.path)
	if err != nil {
		return nil //nolint:nilerr // it was put aside, and the next one has not come yet
	}
	if f.file != nil {
		was, err := f.file.Stat()
		if err == nil && os.SameFile(was, now) {
			return f.rewind(now.Size())
		}
		f.close()
	}
	if f.file, err = os.Open(f.path); err != nil {
		return fmt.Errorf("open the log: %w", err)
	}
	return f.lines(f.print)
}

// rewind goes back to the beginning of a file that was emptied.
func (f *follower) rewind(size int64) error {
	at, err := f.file.Seek(0, io.SeekCurrent)
	if err != nil {
		return fmt.Errorf("read the log: %w", err)
	}
	if size >= at {
		return nil
	}
	if _, err := f.file.Seek(0, io.SeekStart); err != nil {
		return fmt.Errorf("read the log: %w", err)
	}
	f.rest = nil
	return f.lines(f.print)
}

// lines calls do with every whole line that is wanted, of what was not read yet.
func (f *follower) lines(do func([]byte) error) error {
	reader := bufio.NewReader(f.file)
	for {
		part, err := reader.ReadBytes('\n')
		f.rest = append(f.rest, part...)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read the log: %w", err)
		}
		line := f.rest
		f.rest = nil
		if !f.wanted(string(line)) {
			continue
		}
		if err := do(line); err != nil {
			return err
		}
	}
}

// wanted reports whether a line is about the database, in either form of the log.
func (f *follower) wanted(line string) bool {
	name := f.options.Database
	if name == "" {
		return true
	}
	if strings.Contains(line, `"database":"`+name+`"`) {
		return true
	}
	for field := range strings.FieldsSeq(line) {
		if field == "database="+name {
			return true
		}
	}
	return false
}

func (f *follower) print(line []byte) error {
	if _, err := f.out.Write(line); err != nil {
		return fmt.Errorf("write output: %w", err)
	}
	return nil
}

func (f *follower) close() {
	if f.file != nil {
		_ = f.file.Close() // only read
		f.file, f.rest = nil, nil
	}
}
