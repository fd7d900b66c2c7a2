package config

import (
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/knadh/koanf/providers/env/v2"
)

// The environment variables of other names that have a meaning.
const (
	enabledVariable     = "BBM_ENABLED"                  // background_migrations.enabled
	debugVariable       = "DEBUG_LOGGING"                // true: log.level debug
	developmentVariable = "DEVELOPMENT_MODE"             // development_mode
	recreateVariable    = "DB_FORCE_RECREATE"            // force_recreate, unless false
	sentryVariable      = "SENTRY_DSN"                   // sentry.dsn, where that has no variable
	skipVariable        = "SKIP_MIGRATION_VERSION_CHECK" // schema_migrations.skip_version_check
	testPrefix          = "BBMD_TEST_"                   // the project's tests; not ours to read
	serverVariable      = "BBMD_PGBIN"                   // programs for private servers; theirs to read
)

// serviceLink matches what Kubernetes puts into every pod for a Service that
// is named bbmd, or bbmd-something.
var serviceLink = regexp.MustCompile(`^BBMD_([A-Z0-9_]+_)?(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT(_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?)$`)

// readEnvironment merges the environment: first the names that others gave,
// then the BBMD_ variables, which are more specific.
func (l *loader) readEnvironment() {
	given := l.variables()
	values := layer{}
	l.readLegacy(values, given)
	for _, path := range slices.Sorted(maps.Keys(given)) {
		l.readVariable(values, path, given[path])
	}
	l.put(values)
}

// given is one BBMD_ variable.
type givenVariable struct{ name, value string }

// variables returns the BBMD_ variables by the path they mean.
func (l *loader) variables() map[string]givenVariable {
	provider := env.Provider("", env.Opt{
		Prefix:      envPrefix,
		EnvironFunc: l.sources.environ,
		TransformFunc: func(name, value string) (string, any) {
			if isForeign(name) {
				return "", nil
			}
			path := strings.TrimPrefix(name, envPrefix)
			if path == strings.ToUpper(path) {
				path = strings.ReplaceAll(strings.ToLower(path), "__", ".")
			}
			return path, givenVariable{name: name, value: value}
		},
	})
	raw, err := provider.Read()
	l.check(err)
	given := make(map[string]givenVariable, len(raw))
	for path, value := range raw {
		if variable, ok := value.(givenVariable); ok {
			given[path] = variable
		}
	}
	return given
}

// isForeign reports whether a BBMD_ variable is no key and no mistake.
func isForeign(name string) bool {
	return name == configVariable || name == serverVariable || strings.HasPrefix(name, testPrefix) || serviceLink.MatchString(name)
}

func (l *loader) readVariable(into layer, path string, variable givenVariable) {
	names := l.databasePath(strings.Split(path, "."))
	if _, isKey := l.schema.leaves[generic(names)]; !isKey {
		l.unknownVariable(variable.name)
		return
	}
	if names[0] == "databases" && !databaseName.MatchString(names[1]) {
		l.unknownVariable(variable.name)
		return
	}
	l.set(into, names, variable.value, quote(variable.value), Origin{Kind: OriginEnvironment, Detail: variable.name})
}

// databasePath maps a database's name from a variable, which has no dashes, to
// the name that the file gave it.
func (l *loader) databasePath(names []string) []string {
	if len(names) < 2 || names[0] != "databases" {
		return names
	}
	known := l.databases()
	if slices.Contains(known, names[1]) {
		return names
	}
	for _, name := range known {
		if strings.ReplaceAll(name, "-", "_") == names[1] {
			return append([]string{names[0], name}, names[2:]...)
		}
	}
	return names
}

func (l *loader) unknownVariable(name string) {
	var known []string
	for _, key := range Keys() {
		known = append(known, key.Env)
	}
	hint := "two underscores nest: BBMD_HTTP__LISTEN is http.listen"
	if near := nearest(name, known); near != "" {
		hint = "did you mean " + near + "?"
	} else if near := nearest(strings.ReplaceAll(name, "__", "_"), collapsed(known)); near != "" {
		hint = "two underscores nest: did you mean " + known[slices.Index(collapsed(known), near)] + "?"
	}
	if !plainWord.MatchString(name) {
		name = envPrefix + "…"
	}
	l.problems = append(l.problems, &KeyError{Key: name, Source: string(OriginEnvironment), Reason: "no key has this variable", Hint: hint})
}

// collapsed returns the names with single underscores only.
func collapsed(names []string) []string {
	out := make([]string, len(names))
	for i, name := range names {
		out[i] = strings.ReplaceAll(name, "__", "_")
	}
	return out
}

// readLegacy adds the variables of other names.
func (l *loader) readLegacy(into layer, given map[string]givenVariable) {
	l.readSwitch(into, enabledVariable, "background_migrations.enabled", given)
	l.readSwitch(into, developmentVariable, "development_mode", given)
	l.readSwitch(into, skipVariable, "schema_migrations.skip_version_check", given)
	l.readDebug(into)
	l.readRecreate(into)
	l.readSentry(into)
}

// readSentry adds SENTRY_DSN, as Sentry's own libraries have it.
func (l *loader) readSentry(into layer) {
	if value, _ := l.sources.lookup(sentryVariable); value != "" {
		l.set(into, []string{"sentry", "dsn"}, value, quote(value), Origin{Kind: OriginEnvironment, Detail: sentryVariable})
	}
}

// readDebug adds DEBUG_LOGGING, which says nothing when it is false.
func (l *loader) readDebug(into layer) {
	value, _ := l.sources.lookup(debugVariable)
	if value == "" {
		return
	}
	debug, err := parseBool(value, quote(value))
	if err != nil {
		l.problem(debugVariable, Origin{Kind: OriginEnvironment}, err)
	} else if debug == true {
		l.set(into, []string{"log", "level"}, "debug", "", Origin{Kind: OriginEnvironment, Detail: debugVariable})
	}
}

// readRecreate adds DB_FORCE_RECREATE. When it is false, as manifests have it on
// all days but one, it leaves the token of the file alone.
func (l *loader) readRecreate(into layer) {
	value, _ := l.sources.lookup(recreateVariable)
	if value == "1" {
		value = string(TokenTrue)
	}
	if token, err := parseToken(value); err == nil && token != "" {
		l.set(into, []string{"force_recreate"}, value, quote(value), Origin{Kind: OriginEnvironment, Detail: recreateVariable})
	}
}

// readSwitch adds a variable that is another name of a key. One that contradicts
// the key's own variable is refused: whoever set it relies on it.
func (l *loader) readSwitch(into layer, variable, key string, given map[string]givenVariable) {
	value, _ := l.sources.lookup(variable)
	if value == "" {
		return
	}
	l.set(into, strings.Split(key, "."), value, quote(value), Origin{Kind: OriginEnvironment, Detail: variable})
	specific, both := given[key]
	if !both {
		return
	}
	first, err1 := parseBool(value, "")
	second, err2 := parseBool(specific.value, "")
	if err1 == nil && err2 == nil && first != second {
		l.problems = append(l.problems, &KeyError{
			Key: key, Source: string(OriginEnvironment),
			Reason: variable + " and " + specific.name + " contradict each other", Hint: "keep one of them",
		})
	}
}
