package initialize

import (
	"fmt"

	"github.com/bbmd-dev/bbmd/internal/history"
)

// newRunner returns what brings a history of the tool up. files is nil for [Command].
func newRunner(s Spec, tool history.Tool, files history.Files) (runner, error) {
	switch tool {
	case history.Goose:
		return gooseRunner{spec: s}, nil
	case history.Alembic:
		return alembicRunner{spec: s, files: files}, nil
	case Command:
		return commandRunner{spec: s}, nil
	default:
		return nil, &ConfigError{Database: s.Database, Err: fmt.Errorf("bbmd cannot run a history of %s: give history: command, and the command that runs it", tool)}
	}
}
