package config

import (
	"reflect"
	"strings"
)

// anyDatabase stands for a database's name in [Key.Name].
const anyDatabase = "<name>"

// envPrefix starts every environment variable that is a key.
const envPrefix = "BBMD_"

// Key is one thing that can be set.
type Key struct {
	// Name is the path in the file: log.level, databases.<name>.url.
	Name string
	// Env is the environment variable: BBMD_LOG__LEVEL,
	// BBMD_DATABASES__<NAME>__URL.
	Env string
	// Flag is the command-line flag without dashes; empty where there is none.
	Flag string
	// Default is the default value as the file would write it.
	Default string
	// Live says that a change takes effect without a restart.
	Live bool
}

// Keys returns everything that can be set, in the order of [Config].
func Keys() []Key {
	sample := sampleConfig()
	var keys []Key
	for _, f := range fields(&sample) {
		keys = append(keys, f.key)
	}
	return keys
}

// sampleConfig is the configuration that has every key.
func sampleConfig() Config {
	sample := Default()
	sample.Databases = map[string]Database{anyDatabase: {Schema: DefaultSchema()}}
	return sample
}

// field is one key of one configuration, with its value there.
type field struct {
	path  string // as Key.Name, with the database's own name
	key   Key
	value reflect.Value
}

// isDefault reports whether the value is the default one.
func (f field) isDefault() bool {
	for _, key := range Keys() {
		if key.Name == f.key.Name {
			return text(f.value) == key.Default
		}
	}
	return false
}

// fields lists every key of cfg, databases by name.
func fields(cfg *Config) []field {
	return walk("", "", reflect.ValueOf(cfg).Elem(), nil)
}

func walk(path, generic string, section reflect.Value, into []field) []field {
	for i := range section.NumField() {
		meta := section.Type().Field(i)
		name, tagged := meta.Tag.Lookup("koanf")
		if !tagged {
			continue
		}
		path, generic, value := join(path, name), join(generic, name), section.Field(i)
		switch value.Kind() {
		case reflect.Struct:
			into = walk(path, generic, value, into)
		case reflect.Map:
			for _, name := range sortedKeys(value) {
				into = walk(join(path, name), join(generic, anyDatabase), value.MapIndex(reflect.ValueOf(name)), into)
			}
		default:
			into = append(into, field{path: path, key: keyOf(generic, meta, value), value: value})
		}
	}
	return into
}

// keyOf describes a field. Its Default is right only while value is.
func keyOf(name string, meta reflect.StructField, value reflect.Value) Key {
	return Key{
		Name:    name,
		Env:     envName(name),
		Flag:    meta.Tag.Get("flag"),
		Default: text(value),
		Live:    meta.Tag.Get("live") == "true",
	}
}

func envName(path string) string {
	name := strings.NewReplacer(".", "__", "-", "_").Replace(path)
	return envPrefix + strings.ToUpper(name)
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// schema answers what a path of the file means.
type schema struct {
	leaves   map[string]reflect.Type
	sections map[string]bool
}

func newSchema() schema {
	s := schema{leaves: map[string]reflect.Type{}, sections: map[string]bool{"databases": true}}
	sample := sampleConfig()
	for _, f := range fields(&sample) {
		s.leaves[f.key.Name] = f.value.Type()
		for at, r := range f.key.Name {
			if r == '.' {
				s.sections[f.key.Name[:at]] = true
			}
		}
	}
	return s
}

// generic returns the path with a database's name replaced by <name>.
func generic(path []string) string {
	if len(path) > 1 && path[0] == "databases" {
		path = append([]string{path[0], anyDatabase}, path[2:]...)
	}
	return strings.Join(path, ".")
}

// children returns the names that a section knows.
func (s schema) children(section string) []string {
	var names []string
	add := func(path string) {
		if parent, name := cutLast(path); parent == section && name != anyDatabase {
			names = append(names, name)
		}
	}
	for path := range s.leaves {
		add(path)
	}
	for path := range s.sections {
		add(path)
	}
	return names
}

func cutLast(path string) (parent, name string) {
	if at := strings.LastIndexByte(path, '.'); at >= 0 {
		return path[:at], path[at+1:]
	}
	return "", path
}
