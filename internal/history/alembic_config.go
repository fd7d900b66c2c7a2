package history

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"
)

// alembicConfig is what the configuration says of where revisions are.
type alembicConfig struct {
	file, section  string
	base           string // where relative paths begin
	scriptLocation string // as written
	locations      []string
	searchPath     []string // prepend_sys_path
	recursive      bool
	sourceless     bool
}

const (
	iniName         = "alembic.ini"
	tomlName        = "pyproject.toml"
	defaultSection  = "alembic"
	defaultVersions = "versions"
)

// readAlembicConfigs returns the configurations that a file has: one per
// section of an alembic.ini, or per [tool.alembic]. None, where the file is
// not there or not Alembic's. With a section, only that one.
func readAlembicConfigs(file, section, workDir string) ([]alembicConfig, error) {
	content, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if filepath.Base(file) == tomlName {
		config, err := tomlConfig(file, content, workDir)
		if config == nil || err != nil {
			return nil, err
		}
		return []alembicConfig{*config}, nil
	}
	ini, err := parseINI(file, string(content))
	if err != nil {
		return nil, err
	}
	sections := []string{section}
	if section == "" {
		sections = slices.Sorted(maps.Keys(ini.sections))
	}
	var configs []alembicConfig
	for _, s := range sections {
		config, err := iniConfig(ini, s, workDir)
		if err != nil {
			return nil, err
		}
		if config != nil {
			configs = append(configs, *config)
		}
	}
	return configs, nil
}

// iniConfig reads a section. Nil: it is not there, or none of Alembic's.
func iniConfig(ini iniFile, section, workDir string) (*alembicConfig, error) {
	here, err := filepath.Abs(filepath.Dir(ini.path))
	if _, configured := ini.lookup(section, "script_location"); err != nil || !ini.has(section) || !configured {
		return nil, err
	}
	given := map[string]string{"here": filepath.ToSlash(here)}
	c := alembicConfig{file: ini.path, section: section, base: workDir}
	if c.base == "" {
		c.base = here
	}
	option := func(name string) string {
		value, _, problem := ini.get(section, name, given)
		err = errors.Join(err, problem)
		return value
	}
	c.scriptLocation = option("script_location")
	c.recursive = option("recursive_version_locations") == "true"
	c.sourceless = option("sourceless") == "true"
	separator, old := option("path_separator"), option("version_path_separator")
	locations, searchPath := option("version_locations"), option("prepend_sys_path")
	if err != nil {
		return nil, err
	}
	if c.locations, err = split(ini.path, locations, firstOf(separator, old), legacyLocations); err != nil {
		return nil, err
	}
	c.searchPath, err = split(ini.path, searchPath, separator, legacySearchPath)
	return &c, err
}

func firstOf(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// How Alembic splits lists where no separator is configured.
var (
	legacyLocations  = regexp.MustCompile(`, *| +`)
	legacySearchPath = regexp.MustCompile(`, *| +|:`)
)

func split(file, list, separator string, legacy *regexp.Regexp) ([]string, error) {
	if list == "" {
		return nil, nil
	}
	marks := map[string]string{"space": " ", "newline": "\n", "os": string(os.PathListSeparator), ":": ":", ";": ";"}
	mark, known := marks[separator]
	switch {
	case separator == "":
		return legacy.Split(list, -1), nil
	case !known:
		return nil, fmt.Errorf("%s: path separator %q is not space, newline, os, : or ;", file, separator)
	}
	var parts []string
	for part := range strings.SplitSeq(list, mark) {
		if part != "" {
			parts = append(parts, strings.TrimSpace(part))
		}
	}
	return parts, nil
}

// tomlConfig reads [tool.alembic]. Nil: it is not there.
func tomlConfig(file string, content []byte, workDir string) (*alembicConfig, error) {
	var document struct {
		Tool struct {
			Alembic *struct {
				ScriptLocation   string   `toml:"script_location"`
				VersionLocations []string `toml:"version_locations"`
				PrependSysPath   []string `toml:"prepend_sys_path"`
				Recursive        bool     `toml:"recursive_version_locations"`
				Sourceless       bool     `toml:"sourceless"`
			} `toml:"alembic"`
		} `toml:"tool"`
	}
	if err := toml.Unmarshal(content, &document); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	a := document.Tool.Alembic
	here, err := filepath.Abs(filepath.Dir(file))
	if a == nil || a.ScriptLocation == "" || err != nil {
		return nil, err
	}
	c := alembicConfig{file: file, base: workDir, recursive: a.Recursive, sourceless: a.Sourceless}
	if c.base == "" {
		c.base = here
	}
	expand := func(value string) string {
		return strings.NewReplacer("%%", "%", "%(here)s", filepath.ToSlash(here)).Replace(value)
	}
	c.scriptLocation = expand(a.ScriptLocation)
	for _, l := range a.VersionLocations {
		c.locations = append(c.locations, expand(l))
	}
	for _, p := range a.PrependSysPath {
		c.searchPath = append(c.searchPath, expand(p))
	}
	return &c, nil
}

// directory resolves a path of the configuration: relative to where the
// command runs, or package:path within a Python package.
func (c alembicConfig) directory(path string) (string, error) {
	if filepath.IsAbs(path) {
		return filepath.Clean(path), nil
	}
	pkg, inside, isPackage := strings.Cut(path, ":")
	if !isPackage {
		return filepath.Join(c.base, path), nil
	}
	pkg = strings.ReplaceAll(pkg, ".", string(filepath.Separator))
	for _, root := range append(slices.Clone(c.searchPath), ".", "src") {
		if !filepath.IsAbs(root) {
			root = filepath.Join(c.base, root)
		}
		if info, err := os.Stat(filepath.Join(root, pkg)); err == nil && info.IsDir() {
			return filepath.Join(root, pkg, strings.ReplaceAll(inside, ":", string(filepath.Separator))), nil
		}
	}
	return "", fmt.Errorf("%s: the package of %s is not in %s, nor in its src, nor in prepend_sys_path: say where the revisions are with a path", c.file, path, c.base)
}

// versionLocations resolves where the revisions are.
func (c alembicConfig) versionLocations() ([]string, error) {
	if len(c.locations) == 0 {
		script, err := c.directory(c.scriptLocation)
		return []string{filepath.Join(script, defaultVersions)}, err
	}
	var all []string
	for _, l := range c.locations {
		dir, err := c.directory(l)
		if err != nil {
			return nil, err
		}
		all = append(all, dir)
	}
	return all, nil
}
