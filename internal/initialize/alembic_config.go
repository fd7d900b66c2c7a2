package initialize

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
)

// alembicConfig returns Alembic's configuration, empty where it is what Alembic takes by itself, and
// the directory where Alembic runs: paths in the configuration begin there.
func (s Spec) alembicConfig() (config, dir string, err error) {
	config = s.HistoryOptions.Config
	if config == "" {
		config, err = findAlembicConfig(s.Migrations)
	}
	if err == nil && config != "" {
		config, err = filepath.Abs(config)
	}
	if err != nil {
		return "", "", fmt.Errorf("look for Alembic's configuration: %w", err)
	}
	switch {
	case s.Dir != "":
		dir = s.Dir
	case s.HistoryOptions.WorkDir != "":
		dir = s.HistoryOptions.WorkDir
	case config != "":
		dir = filepath.Dir(config)
	}
	if here, err := filepath.Abs(dir); err == nil && here == filepath.Dir(config) && filepath.Base(config) == "pyproject.toml" {
		config = "" // older ones do not know it as an argument
	}
	return config, dir, nil
}

// findAlembicConfig looks in the directory of the revisions, and in those above it. It
// returns nothing where there is none.
func findAlembicConfig(migrations string) (string, error) {
	dir, err := filepath.Abs(migrations)
	if err != nil {
		return "", err
	}
	for {
		ini := filepath.Join(dir, "alembic.ini")
		if _, err := os.Stat(ini); err == nil {
			return ini, nil
		}
		project := filepath.Join(dir, "pyproject.toml")
		if content, err := os.ReadFile(project); err == nil && bytes.Contains(content, []byte("[tool.alembic")) {
			return project, nil
		}
		above := filepath.Dir(dir)
		if above == dir {
			return "", nil
		}
		dir = above
	}
}
