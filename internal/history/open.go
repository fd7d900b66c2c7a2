package history

import (
	"fmt"

	"github.com/pressly/goose/v3"
)

// Options say what [Open] cannot see in the directory. The zero value is good.
type Options struct {
	// Config is Alembic's configuration: an alembic.ini or a pyproject.toml.
	// Empty: the one in the directory, or the one in a directory above it
	// whose script_location is the directory. Without any, the revisions are
	// in the directory or in its subdirectory versions.
	Config string
	// Section of alembic.ini, the command's option -n. Defaults to alembic.
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
	return nil, fmt.Errorf("open history in %s: no reader for %q yet", dir, tool)
}
