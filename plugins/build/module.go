package build

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// Module is what is to be compiled in: a package that registers Works.
type Module struct {
	// Path is the import path of the package; mostly that of its module.
	Path string

	// Version as the go command understands it, such as v1.2.3, a branch or a
	// commit. Empty: the latest, or what the module is replaced by.
	Version string
}

// ParseModule reads module[@version].
func ParseModule(text string) (Module, error) {
	path, version, versioned := strings.Cut(text, "@")
	m := Module{Path: path, Version: version}
	switch first, _, _ := strings.Cut(path, "/"); {
	case strings.HasPrefix(path, ".") || filepath.IsAbs(path):
		return m, fmt.Errorf("%s is a directory: name the module as its go.mod does, and say --replace MODULE=%s as well", text, path)
	case versioned && version == "":
		return m, fmt.Errorf("%q has no version behind its @: write %s@v1.2.3, or %s for the latest", text, path, path)
	case !pathPattern.MatchString(path) || !strings.Contains(first, "."):
		return m, fmt.Errorf("%q is no path of a module: write it as its go.mod does, such as github.com/acme/works@v1.2.3", text)
	}
	return m, nil
}

var pathPattern = regexp.MustCompile(`^[A-Za-z0-9._~-]+(/[A-Za-z0-9._~-]+)*$`)

// query is the module as an argument of go get.
func (m Module) query() string {
	if m.Version == "" {
		return m.Path
	}
	return m.Path + "@" + m.Version
}

// Replacement is a module that is taken from somewhere else.
type Replacement struct {
	Module string // its path
	By     string // a directory, absolute, or another module with its version
}

// ParseReplacement reads module=path. A path that is a directory has to hold a go.mod.
func ParseReplacement(text string) (Replacement, error) {
	module, by, ok := strings.Cut(text, "=")
	if _, err := ParseModule(module); !ok || err != nil || strings.Contains(module, "@") || by == "" {
		return Replacement{}, fmt.Errorf("%q is no replacement: write it as github.com/acme/works=../works", text)
	}
	r := Replacement{Module: module, By: by}
	if !r.local() {
		return r, nil
	}
	directory, err := filepath.Abs(by)
	if err != nil {
		return r, fmt.Errorf("replace %s: %w", module, err)
	}
	r.By = directory
	if _, err := os.Stat(filepath.Join(directory, "go.mod")); err != nil {
		return r, fmt.Errorf("replace %s: %s is no module: name the directory of its go.mod, or run go mod init there", module, by)
	}
	return r, nil
}

// local reports whether it is a directory.
func (r Replacement) local() bool {
	return filepath.IsAbs(r.By) || strings.HasPrefix(r.By, ".") || !strings.Contains(r.By, "@")
}
