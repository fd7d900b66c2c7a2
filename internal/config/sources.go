package config

import (
	"crypto/sha256"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/pflag"
)

// Sources says where [Load] looks. The zero value is the process's own
// environment, and the usual places for the file.
type Sources struct {
	// File is the configuration file; it must exist. Empty means the flag
	// --config, then BBMD_CONFIG, then the first of Search that exists.
	File string
	// Search are the files to look for where none is named. Nil means
	// [SearchPaths]; an empty slice means not to look.
	Search []string
	// Environ is the environment as NAME=value. Nil means [os.Environ].
	Environ []string
	// Flags are parsed command-line flags that [RegisterFlags] declared; only
	// those that were given count. Nil means none.
	Flags *pflag.FlagSet
}

// SearchPaths returns where a configuration file is looked for where none is
// named: bbmd.yaml, .yml, .toml and .json in the working directory, then in
// /etc/bbmd.
func SearchPaths() []string {
	var paths []string
	for _, dir := range []string{".", "/etc/bbmd"} {
		for _, ext := range extensions() {
			paths = append(paths, filepath.Join(dir, "bbmd"+ext))
		}
	}
	return paths
}

func extensions() []string { return []string{".yaml", ".yml", ".toml", ".json"} }

// maxFileSize bounds the configuration file; what is bigger is not one.
const maxFileSize = 1 << 20

// Origin is where a value came from.
type Origin struct {
	// Kind is one of the Origin constants.
	Kind OriginKind
	// Detail is the file's path, the directory that was discovered, the
	// variable's name, or the flag with its dashes; empty for a default.
	Detail string
}

// OriginKind is a layer of the configuration.
type OriginKind string

// The layers, each over the one before it; what is discovered takes no other's
// place.
const (
	OriginDefault     OriginKind = "default"
	OriginFile        OriginKind = "file"
	OriginDiscovered  OriginKind = "discovered"
	OriginEnvironment OriginKind = "env"
	OriginFlag        OriginKind = "flag"
)

// String returns the kind and the detail.
func (o Origin) String() string {
	if o.Detail == "" {
		return string(o.Kind)
	}
	return string(o.Kind) + " " + o.Detail
}

// loaded is what a Config remembers of its loading.
type loaded struct {
	file     string
	sum      sum
	origins  map[string]Origin // by path
	expanded map[string]bool   // paths whose value came out of ${…}
	others   []string          // databases that are configured, and not in the profile
	unnamed  []string          // directories that were discovered, without a url
}

// sum identifies a file's content.
type sum [sha256.Size]byte

// Origin returns where the value of a key came from; the path is that of
// [Setting.Key].
func (c Config) Origin(path string) Origin {
	if c.loaded != nil {
		if origin, ok := c.loaded.origins[path]; ok {
			return origin
		}
	}
	return Origin{Kind: OriginDefault}
}

// environ returns the environment.
func (s Sources) environ() []string {
	if s.Environ != nil {
		return s.Environ
	}
	return os.Environ()
}

// lookup returns a variable of the environment. Of duplicates the last counts.
func (s Sources) lookup(name string) (string, bool) {
	for _, entry := range slices.Backward(s.environ()) {
		if key, value, ok := strings.Cut(entry, "="); ok && key == name {
			return value, true
		}
	}
	return "", false
}

// find returns the file to read, or an empty path where there is none.
func (s Sources) find() (string, error) {
	if path := s.named(); path != "" {
		return path, nil
	}
	search := s.Search
	if search == nil {
		search = SearchPaths()
	}
	var found []string
	for _, path := range search {
		switch _, err := os.Stat(path); {
		case err == nil:
			found = append(found, path)
		case !errors.Is(err, fs.ErrNotExist):
			return "", fileError(path, err)
		}
	}
	if len(found) == 0 {
		return "", nil
	}
	if len(found) > 1 && filepath.Dir(found[0]) == filepath.Dir(found[1]) {
		return "", &KeyError{Key: found[0], Reason: found[1] + " is there as well", Hint: "remove one, or choose with --config"}
	}
	return found[0], nil
}

func (s Sources) named() string {
	if s.File != "" {
		return s.File
	}
	if s.Flags != nil {
		if path, err := s.Flags.GetString(configFlag); err == nil && path != "" {
			return path
		}
	}
	path, _ := s.lookup(configVariable)
	return path
}

// fileError says why a file cannot be read.
func fileError(path string, err error) *KeyError {
	reason, hint := "it cannot be read", "check the path and its permissions"
	var pathError *fs.PathError
	switch {
	case errors.Is(err, fs.ErrNotExist):
		reason, hint = "there is no such file", "create it, or correct the path"
	case errors.As(err, &pathError):
		reason += ": " + pathError.Err.Error()
	}
	return &KeyError{Key: path, Reason: reason, Hint: hint}
}
