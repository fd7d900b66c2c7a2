package config

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/knadh/koanf/providers/confmap"
	"github.com/knadh/koanf/providers/posflag"
	"github.com/knadh/koanf/providers/structs"
	"github.com/knadh/koanf/v2"
	"github.com/spf13/pflag"
)

// Load reads the configuration from its sources and validates it. The error
// joins everything that is wrong, each a [KeyError]; the Config is the zero
// value then.
func Load(sources Sources) (Config, error) {
	return load(sources, (*loader).readFile)
}

func load(sources Sources, readFile func(*loader)) (Config, error) {
	l := newLoader(sources)
	readFile(l)
	l.readEnvironment()
	l.readFlags()
	l.discover()
	l.choose()
	l.fillDatabases()
	cfg := l.decode()
	v := validator{config: cfg, databasesUnknown: l.fileUnread || l.hasProblem("databases")}
	l.problems = append(l.problems, v.problems()...)
	if err := errors.Join(l.problems...); err != nil {
		return Config{}, err
	}
	return cfg, nil
}

// loader collects layers and what is wrong with them.
type loader struct {
	sources    Sources
	schema     schema
	merged     *koanf.Koanf
	loaded     loaded
	fileUnread bool
	problems   []error
}

func newLoader(sources Sources) *loader {
	l := &loader{
		sources: sources,
		schema:  newSchema(),
		merged:  koanf.New("."),
		loaded:  loaded{origins: map[string]Origin{}, expanded: map[string]bool{}},
	}
	l.check(l.merged.Load(structs.Provider(Default(), "koanf"), nil))
	return l
}

// check notes an error that is not about a single key.
func (l *loader) check(err error) {
	if err != nil {
		l.problems = append(l.problems, err)
	}
}

func (l *loader) problem(key string, origin Origin, err error) {
	problem := &KeyError{Key: key, Source: origin.String(), Reason: err.Error()}
	if bad, ok := errors.AsType[*badValueError](err); ok {
		problem.Hint = bad.hint
	}
	l.problems = append(l.problems, problem)
}

// layer is one source's values by path, each checked and typed.
type layer map[string]any

// put merges a layer over the ones before it.
func (l *loader) put(values layer) {
	for _, path := range slices.Collect(maps.Keys(values)) {
		// An empty section stands only for itself, or it would replace its keys.
		for parent, _ := cutLast(path); parent != ""; parent, _ = cutLast(parent) {
			delete(values, parent)
		}
	}
	l.check(l.merged.Load(confmap.Provider(values, "."), nil))
}

// set checks one value and adds it to its layer.
func (l *loader) set(into layer, path []string, raw any, shown string, origin Origin) {
	key := strings.Join(path, ".")
	value, err := parse(l.schema.leaves[generic(path)], raw, shown)
	if err != nil {
		l.problem(key, origin, err)
		return
	}
	into[key] = value
	l.loaded.origins[key] = origin
}

// readFlags merges the flags that were given.
func (l *loader) readFlags() {
	if l.sources.Flags == nil {
		return
	}
	values := layer{}
	provider := posflag.ProviderWithFlag(l.sources.Flags, "", nil, func(flag *pflag.Flag) (string, any) {
		return flagKey(flag), posflag.FlagVal(l.sources.Flags, flag)
	})
	given, err := provider.Read()
	l.check(err)
	for _, name := range slices.Sorted(maps.Keys(given)) {
		origin := Origin{Kind: OriginFlag, Detail: "--" + l.flagName(name)}
		l.set(values, strings.Split(name, "."), given[name], shownValue(given[name]), origin)
	}
	l.put(values)
}

func (l *loader) flagName(key string) string {
	var name string
	l.sources.Flags.VisitAll(func(flag *pflag.Flag) {
		if flagKey(flag) == key {
			name = flag.Name
		}
	})
	return name
}

// decode turns the merged layers into a Config.
func (l *loader) decode() Config {
	var cfg Config
	l.check(l.merged.Unmarshal("", &cfg))
	if cfg.Databases == nil {
		cfg.Databases = map[string]Database{}
	}
	cfg.loaded = &l.loaded
	return cfg
}

// databases returns the names that the layers so far have, sorted.
func (l *loader) databases() []string {
	section, _ := l.merged.Get("databases").(map[string]any)
	return slices.Sorted(maps.Keys(section))
}

// shownValue quotes a value for an error. Only plain scalars are quoted.
func shownValue(raw any) string {
	switch reflect.ValueOf(raw).Kind() {
	case reflect.Map, reflect.Slice:
		return "a list or a mapping"
	default:
		return quote(fmt.Sprint(raw))
	}
}
