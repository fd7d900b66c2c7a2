package history

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/pressly/goose/v3"
)

// Options say what [Open] cannot see in the directory. The zero value is good.
type Options struct {
	// Config is Alembic's configuration: an alembic.ini or a pyproject.toml.
	// Empty: the one in the directory, or the one in a directory above it
	// whose script_location is the directory. Without any, the revisions are
	// in the directory or in its subdirectory versions.
	Config string
	// Section of alembic.ini, the command's option -n. Empty: alembic, or the
	// only one that has a script_location.
	Section string
	// WorkDir is where relative paths in Config begin: where the alembic
	// command runs. Defaults to the directory of Config.
	WorkDir string
	// Go are the Go migrations of goose. Nil means those that are registered
	// with goose globally, which belong to every goose history of the
	// process; a program with several gives each its own, even if empty.
	Go []*goose.Migration
}

// Open reads the history of a tool, Alembic or Goose, from a directory. An
// empty tool means the one whose files are there: the error for a directory
// with neither, or with both, says what was seen.
func Open(dir string, tool Tool, opts Options) (Files, error) {
	seen := contents{}
	if tool == "" {
		var err error
		if tool, err = recognise(dir, opts, seen); err != nil {
			return nil, fmt.Errorf("open history: %w", err)
		}
	}
	switch tool {
	case Goose:
		f, err := openGoose(dir, opts.Go, seen)
		if err != nil {
			return nil, fmt.Errorf("open goose history: %w", err)
		}
		return f, nil
	case Alembic:
		f, err := openAlembic(dir, opts)
		if err != nil {
			return nil, fmt.Errorf("open Alembic history: %w", err)
		}
		return f, nil
	default:
		return nil, fmt.Errorf("open history: the files of %s are not read here, only those of goose and Alembic; run it as a command", tool.Title())
	}
}

// contents are those of files that were read, by path: whoever wants to know whose files these are has read them all.
type contents map[string][]byte

func (c contents) read(path string) ([]byte, error) {
	if content, ok := c[path]; ok {
		return content, nil
	}
	content, err := os.ReadFile(path)
	if err == nil {
		c[path] = content
	}
	return content, err
}

// recognise says whose files are in a directory.
func recognise(dir string, opts Options, seen contents) (Tool, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return "", err
	}
	var gooseFile, alembicFile string
	var foreignTool Tool
	var foreignFile string
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		switch tool := seen.whose(path); tool {
		case Goose:
			gooseFile = path
		case Alembic:
			alembicFile = path
		case "":
		default:
			foreignTool, foreignFile = tool, path
		}
	}
	if alembicFile == "" {
		if alembicFile, err = configured(dir, opts); err != nil {
			return "", err
		}
	}
	switch {
	case gooseFile != "" && alembicFile != "":
		return "", fmt.Errorf("%s has files of two tools, %s of goose and %s of Alembic: say which one it is", dir, gooseFile, alembicFile)
	case gooseFile != "" || len(opts.Go) > 0:
		return Goose, nil
	case alembicFile != "":
		return Alembic, nil
	case foreignFile != "":
		return "", fmt.Errorf("%s looks like a file of %s, whose files are not read here: run it as a command", foreignFile, foreignTool.Title())
	}
	return "", fmt.Errorf("%s has neither a file of goose's (00001_name.sql with a line -- +goose Up) nor of Alembic's (alembic.ini, env.py, versions); it has %s", dir, names(entries))
}

// configured returns the configuration of Alembic's that a directory has.
func configured(dir string, opts Options) (string, error) {
	c, err := findAlembicConfig(dir, opts)
	if c == nil || err != nil {
		return "", err
	}
	return c.file, nil
}

// names lists entries for a message.
func names(entries []os.DirEntry) string {
	const most = 5
	if len(entries) == 0 {
		return "nothing"
	}
	var list []string
	for _, e := range entries[:min(most, len(entries))] {
		list = append(list, e.Name())
	}
	if len(entries) > most {
		list = append(list, fmt.Sprintf("and %d more", len(entries)-most))
	}
	return strings.Join(list, ", ")
}

// whose says which tool a file belongs to, by its name and content. Empty: it
// cannot be told.
func (c contents) whose(path string) Tool {
	name := filepath.Base(path)
	switch {
	case name == "env.py":
		return Alembic
	case name == "atlas.sum":
		return Atlas
	case filepath.Ext(name) == ".py":
		return c.ifContains(path, Alembic, "down_revision")
	case strings.HasSuffix(name, ".up.sql") || strings.HasSuffix(name, ".down.sql"):
		return GolangMigrate
	case filepath.Ext(name) == ".go" && !strings.HasSuffix(name, "_test.go"):
		if _, err := goose.NumericComponent(name); err == nil {
			return Goose
		}
	case filepath.Ext(name) == ".sql":
		return c.ofSQL(path, name)
	case name == defaultVersions:
		if found, err := filepath.Glob(filepath.Join(path, "*.py")); err == nil && len(found) > 0 {
			return Alembic
		}
	}
	return ""
}

func (c contents) ofSQL(path, name string) Tool {
	_, err := goose.NumericComponent(name)
	for _, t := range []struct {
		tool   Tool
		marker string
	}{{Goose, "-- +goose"}, {Dbmate, "-- migrate:up"}, {Tern, "---- create above / drop below ----"}} {
		if c.ifContains(path, t.tool, t.marker) != "" && (err == nil || t.tool != Goose) {
			return t.tool
		}
	}
	if len(name) > 2 && name[0] == 'V' && name[1] >= '0' && name[1] <= '9' && strings.Contains(name, "__") {
		return Flyway
	}
	return ""
}

func (c contents) ifContains(path string, tool Tool, marker string) Tool {
	content, err := c.read(path)
	if err != nil || !strings.Contains(string(content), marker) {
		return ""
	}
	return tool
}
