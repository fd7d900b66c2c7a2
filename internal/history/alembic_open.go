package history

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// openAlembic reads the revisions of the history in a directory, wherever its
// configuration says that they are.
func openAlembic(dir string, opts Options) (*alembicFiles, error) {
	c, err := findAlembicConfig(dir, opts)
	if err != nil {
		return nil, err
	}
	f := &alembicFiles{dir: dir}
	if c == nil {
		c = &alembicConfig{base: ".", locations: []string{plainVersions(dir)}} // which has dir in it already
	} else {
		f.settings.Config, f.settings.Section = c.file, c.section
		if f.settings.ScriptLocation, err = c.directory(c.scriptLocation); err != nil {
			return nil, err
		}
		f.settings.OwnTable = namesTable(f.settings.ScriptLocation)
	}
	if f.settings.VersionLocations, err = c.versionLocations(); err != nil {
		return nil, err
	}
	files, err := c.revisionFiles(f.settings.VersionLocations)
	if err != nil {
		return nil, err
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("there is no revision of Alembic's in %s", strings.Join(f.settings.VersionLocations, ", "))
	}
	f.graph, err = readGraph(files)
	return f, err
}

func readGraph(files []string) (*graph, error) {
	var revisions []revision
	var problems []error
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		r, err := parseRevision(file, content)
		problems = append(problems, err)
		revisions = append(revisions, r)
	}
	if err := errors.Join(problems...); err != nil {
		return nil, err
	}
	return newGraph(revisions)
}

// plainVersions is where revisions are that no configuration tells of.
func plainVersions(dir string) string {
	versions := filepath.Join(dir, defaultVersions)
	if info, err := os.Stat(versions); err == nil && info.IsDir() {
		return versions
	}
	return dir
}

// findAlembicConfig returns the configuration that a history is read by: the
// one that is named, else the directory's own, else that of a directory above
// whose scripts are in the directory. Nil: there is none.
func findAlembicConfig(dir string, opts Options) (*alembicConfig, error) {
	if opts.Config != "" {
		return namedConfig(opts)
	}
	for _, name := range []string{iniName, tomlName} {
		configs, err := readAlembicConfigs(filepath.Join(dir, name), opts.Section, opts.WorkDir)
		if err != nil {
			return nil, err
		}
		if len(configs) > 0 {
			return preferred(configs)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, iniName)); err == nil && opts.Section != "" {
		return nil, noScriptLocation(filepath.Join(dir, iniName), opts.Section)
	}
	return configAbove(dir, opts)
}

// namedConfig reads the file that is named. An alembic.ini without
// script_location may have it in the pyproject.toml beside it.
func namedConfig(opts Options) (*alembicConfig, error) {
	section := opts.Section
	if _, err := os.Stat(opts.Config); err != nil {
		return nil, err
	}
	configs, err := readAlembicConfigs(opts.Config, section, opts.WorkDir)
	if err == nil && len(configs) == 0 && filepath.Base(opts.Config) != tomlName {
		configs, err = readAlembicConfigs(filepath.Join(filepath.Dir(opts.Config), tomlName), "", opts.WorkDir)
	}
	if err != nil {
		return nil, err
	}
	if len(configs) == 0 {
		return nil, noScriptLocation(opts.Config, cmp.Or(section, defaultSection))
	}
	return preferred(configs)
}

func noScriptLocation(file, section string) error {
	return fmt.Errorf("%s: section [%s] is not there, or has no script_location", file, section)
}

// preferred is the section alembic, or the only one.
func preferred(configs []alembicConfig) (*alembicConfig, error) {
	var names []string
	for i, c := range configs {
		if c.section == defaultSection || len(configs) == 1 {
			return &configs[i], nil
		}
		names = append(names, c.section)
	}
	return nil, fmt.Errorf("%s has no section [alembic], and several others with a script_location: name one of %s", configs[0].file, strings.Join(names, ", "))
}

// configAbove looks in the directories above for the configuration whose
// scripts, or some of whose revisions, are in the directory.
func configAbove(dir string, opts Options) (*alembicConfig, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	for parent := filepath.Dir(dir); ; parent = filepath.Dir(parent) {
		for _, name := range []string{iniName, tomlName} {
			configs, err := readAlembicConfigs(filepath.Join(parent, name), opts.Section, opts.WorkDir)
			if err != nil && !errors.Is(err, fs.ErrPermission) && name == iniName {
				return nil, fmt.Errorf("look whether %s is the configuration of %s: %w", filepath.Join(parent, name), dir, err)
			}
			configs = slices.DeleteFunc(configs, func(c alembicConfig) bool { return !c.covers(dir) })
			if len(configs) > 0 {
				return preferred(configs)
			}
		}
		if parent == filepath.Dir(parent) {
			return nil, nil
		}
	}
}

// covers reports whether the directory is where the configuration has its
// scripts or some of its revisions.
func (c alembicConfig) covers(dir string) bool {
	locations, err := c.versionLocations()
	if err != nil {
		return false
	}
	script, err := c.directory(c.scriptLocation)
	if err == nil {
		locations = append(locations, script)
	}
	return slices.ContainsFunc(locations, func(l string) bool { return sameDirectory(l, dir) })
}

func sameDirectory(a, b string) bool {
	infoA, errA := os.Stat(a)
	infoB, errB := os.Stat(b)
	return errA == nil && errB == nil && os.SameFile(infoA, infoB)
}

// revisionFiles lists the files that Alembic would load, each once, in the
// order of their names.
func (c alembicConfig) revisionFiles(locations []string) ([]string, error) {
	var files []string
	seen := map[string]bool{}
	for _, location := range locations {
		root, err := filepath.EvalSymlinks(location)
		if err != nil {
			return nil, fmt.Errorf("read version location: %w; relative paths begin at %s", err, c.base)
		}
		err = filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			if entry.IsDir() {
				return c.enter(root, path)
			}
			return c.collect(path, location, root, seen, &files)
		})
		if err != nil {
			return nil, err
		}
	}
	return files, nil
}

// enter says whether to go into a directory.
func (c alembicConfig) enter(root, path string) error {
	if path == root {
		return nil
	}
	if strings.HasSuffix(path, "__pycache__") {
		if c.sourceless {
			return refuseCompiled(filepath.Dir(path), path)
		}
		return fs.SkipDir
	}
	if !c.recursive {
		return fs.SkipDir
	}
	return nil
}

// refuseCompiled refuses compiled revisions that have no source: sourceless
// is on, so Alembic would load them.
func refuseCompiled(sources, cache string) error {
	entries, err := os.ReadDir(cache)
	if err != nil {
		return err
	}
	for _, e := range entries {
		stem, _, _ := strings.Cut(e.Name(), ".")
		if _, err := os.Stat(filepath.Join(sources, stem+".py")); err != nil && !strings.HasPrefix(stem, "__init__") {
			return fmt.Errorf("%s is compiled and has no source, which cannot be read without running Python: ship the .py files", filepath.Join(cache, e.Name()))
		}
	}
	return fs.SkipDir
}

// collect takes a file that is a revision.
func (c alembicConfig) collect(path, location, root string, seen map[string]bool, files *[]string) error {
	name := filepath.Base(path)
	if strings.HasPrefix(name, "__init__") || strings.HasPrefix(name, ".#") {
		return nil
	}
	if extension := filepath.Ext(name); c.sourceless && (extension == ".pyc" || extension == ".pyo") {
		source := strings.TrimSuffix(path, extension) + ".py"
		if _, err := os.Stat(source); err != nil {
			return fmt.Errorf("%s is compiled and has no source, which cannot be read without running Python: ship the .py files", path)
		}
	}
	real, err := filepath.EvalSymlinks(path)
	if err != nil || filepath.Ext(name) != ".py" || seen[real] {
		if filepath.Ext(name) != ".py" {
			return nil
		}
		return err
	}
	seen[real] = true
	*files = append(*files, filepath.Join(location, strings.TrimPrefix(path, root)))
	return nil
}
