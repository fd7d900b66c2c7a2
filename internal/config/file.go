package config

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/knadh/koanf/parsers/json"
	"github.com/knadh/koanf/parsers/toml/v2"
	"github.com/knadh/koanf/parsers/yaml"
	"github.com/knadh/koanf/providers/file"
	"github.com/knadh/koanf/v2"
	yamlv3 "go.yaml.in/yaml/v3"
)

// readFile merges the configuration file, if there is one.
func (l *loader) readFile() {
	path, err := l.sources.find()
	if err != nil || path == "" {
		l.fileUnread = err != nil
		l.check(err)
		return
	}
	content, err := readContent(path)
	if err != nil {
		l.fileUnread = true
		l.check(fileError(path, err))
		return
	}
	l.loaded.file, l.loaded.sum = path, sha256.Sum256(content)
	l.readContent(path, content)
}

// readContent returns a file's content, through koanf's provider.
func readContent(path string) ([]byte, error) {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, &fs.PathError{Op: "read", Path: path, Err: errors.New("it is not a regular file")}
	case info.Size() > maxFileSize:
		return nil, &fs.PathError{Op: "read", Path: path, Err: fmt.Errorf("it is larger than %d bytes", maxFileSize)}
	}
	return file.Provider(path).ReadBytes()
}

// readContent merges a file's content, which path's extension says how to
// parse.
func (l *loader) readContent(path string, content []byte) {
	raw, err := parseContent(path, content)
	if err != nil {
		l.fileUnread = true
		l.check(err)
		return
	}
	values := layer{}
	l.collect(values, nil, raw, Origin{Kind: OriginFile, Detail: path})
	l.resolvePaths(values, filepath.Dir(path))
	l.put(values)
}

func parseContent(path string, content []byte) (map[string]any, error) {
	parser, name := parserFor(path)
	if parser == nil {
		return nil, &KeyError{Key: path, Reason: "its extension does not say what it is", Hint: "name it .yaml, .yml, .toml or .json"}
	}
	raw, err := parser.Unmarshal(content)
	if err == nil && name == "YAML" {
		err = oneDocument(content)
	}
	if err != nil {
		return nil, &KeyError{Key: path, Reason: "it is not valid " + name + ": " + syntaxReason(content, err), Hint: "correct the file"}
	}
	return raw, nil
}

func parserFor(path string) (parser koanf.Parser, name string) {
	switch strings.ToLower(filepath.Ext(path)) {
	case ".yaml", ".yml":
		return yaml.Parser(), "YAML"
	case ".toml":
		return toml.Parser(), "TOML"
	case ".json":
		return json.Parser(), "JSON"
	default:
		return nil, ""
	}
}

// errDocuments refuses what the parser would silently leave out.
var errDocuments = errors.New("it holds more than one document")

func oneDocument(content []byte) error {
	decoder := yamlv3.NewDecoder(bytes.NewReader(content))
	var node yamlv3.Node
	for documents := 0; ; documents++ {
		if err := decoder.Decode(&node); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		if documents > 0 {
			return errDocuments
		}
	}
}

// collect adds what a section of the file holds to its layer.
func (l *loader) collect(into layer, path []string, section map[string]any, origin Origin) {
	for _, name := range slices.Sorted(maps.Keys(section)) {
		path := append(slices.Clone(path), name)
		switch _, isKey := l.schema.leaves[generic(path)]; {
		case strings.Contains(name, "."):
			l.unknown(path, origin)
		case isKey:
			l.collectKey(into, path, section[name], origin)
		case l.schema.sections[generic(path)]:
			l.collectSection(into, path, section[name], origin)
		default:
			l.unknown(path, origin)
		}
	}
}

// shownExpanded stands for a value that came out of a variable.
const shownExpanded = "what the variable holds"

func (l *loader) collectKey(into layer, path []string, raw any, origin Origin) {
	shown := shownValue(raw)
	expanded, changed, err := expandAll(raw, l.sources.lookup)
	if err != nil {
		l.problem(strings.Join(path, "."), origin, err)
		return
	}
	if changed {
		shown = shownExpanded
		l.loaded.expanded[strings.Join(path, ".")] = true
	}
	if expanded != nil {
		l.set(into, path, expanded, shown, origin)
	}
}

func (l *loader) collectSection(into layer, path []string, raw any, origin Origin) {
	key := strings.Join(path, ".")
	if generic(path) == join("databases", anyDatabase) {
		if !databaseName.MatchString(path[1]) {
			l.problem("databases", origin, badDatabaseName(path[1]))
			return
		}
		into[key] = map[string]any{}
		l.loaded.origins[key] = origin
	}
	switch section := raw.(type) {
	case nil:
	case map[string]any:
		l.collect(into, path, section, origin)
	case map[any]any:
		l.problem(key, origin, refuse("a key in it is not text", "quote the key"))
	default:
		l.problem(key, origin, refuse("a single value stands where keys belong", "write "+example(l.schema, generic(path))))
	}
}

// resolvePaths makes relative paths start at the file's directory.
func (l *loader) resolvePaths(values layer, dir string) {
	resolve := func(name string) string {
		if name == "" || filepath.IsAbs(name) || looksLikeConn(name) {
			return name
		}
		return filepath.Join(dir, name)
	}
	for path, value := range values {
		switch value := value.(type) {
		case string:
			if isPathKey(path) {
				values[path] = resolve(value)
			}
		case Models:
			if value.Path() != "" {
				values[path] = Models(resolve(value.Path()))
			}
		}
	}
}

// isPathKey reports whether the value of a key is the path of a file or a directory.
func isPathKey(path string) bool {
	switch generic(strings.Split(path, ".")) {
	case "discover", "plugins.dir", "plugins.lock", "dashboard.token_file", "databases.<name>.url_file", "databases.<name>.schema.migrations", "databases.<name>.schema.directory":
		return true
	default:
		return false
	}
}
