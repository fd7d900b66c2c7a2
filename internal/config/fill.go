package config

import (
	"errors"
	"reflect"
	"slices"
	"strings"
)

// fillDatabases completes databases without a connection from the environment,
// and makes the default one where none is named.
func (l *loader) fillDatabases() {
	names := l.databases()
	single, _ := l.sources.lookup(databaseVariable)
	if len(names) == 0 && l.merged.String("profile") == "" && (single != "" || l.hasLibpq()) {
		names = []string{DefaultDatabase}
		l.put(layer{"databases." + DefaultDatabase: map[string]any{}})
	}
	values := layer{}
	var libpq []string
	for _, name := range names {
		if !l.fillDatabase(values, name) {
			libpq = append(libpq, name)
		}
	}
	l.put(values)
	l.checkLibpq(libpq)
	l.fillSchemas(names)
}

// fillSchemas gives databases the defaults of what nobody has set.
func (l *loader) fillSchemas(names []string) {
	defaults := DefaultSchema()
	values := layer{}
	for _, name := range names {
		prefix := "databases." + name + ".schema"
		for _, f := range walk(prefix, prefix, reflect.ValueOf(&defaults).Elem(), nil) {
			if !l.merged.Exists(f.path) && !f.value.IsZero() {
				values[f.path] = f.value.Interface()
			}
		}
	}
	l.put(values)
}

// checkLibpq looks at the databases that have nothing but the libpq variables.
func (l *loader) checkLibpq(names []string) {
	for i, name := range names {
		path := "databases." + name
		reason := "nothing says how to reach it"
		switch {
		case l.hasProblem(path), l.hasLibpq() && i == 0:
			continue
		case l.hasLibpq():
			reason = "the libpq variables already are databases." + names[0]
		}
		hint := "set url, url_file, " + databaseVariables(name)[0] + " in the environment, or the libpq variables such as PGHOST"
		l.problem(path, l.loaded.origins[path], refuse(reason, hint))
	}
}

// databaseVariable is the environment variable of the default database, and
// the end of the others'.
const databaseVariable = "DATABASE_URL"

// databaseVariables returns the variables that can hold a database's url.
func databaseVariables(name string) []string {
	own := strings.ToUpper(strings.ReplaceAll(name, "-", "_")) + "_" + databaseVariable
	if name == DefaultDatabase {
		return []string{databaseVariable, own}
	}
	return []string{own}
}

// fillDatabase reports whether the database has a url, or got one.
func (l *loader) fillDatabase(into layer, name string) bool {
	path := "databases." + name
	if l.merged.String(path+".url") != "" || l.merged.String(path+".url_file") != "" {
		return true
	}
	for _, variable := range databaseVariables(name) {
		if value, _ := l.sources.lookup(variable); value != "" {
			l.set(into, []string{"databases", name, "url"}, value, "", Origin{Kind: OriginEnvironment, Detail: variable})
			return true
		}
	}
	return false
}

// hasProblem reports whether a key of the section is known to be wrong, so
// that its absence is no second problem.
func (l *loader) hasProblem(section string) bool {
	return slices.ContainsFunc(l.problems, func(err error) bool {
		problem, ok := errors.AsType[*KeyError](err)
		return ok && (problem.Key == section || strings.HasPrefix(problem.Key, section+"."))
	})
}

// hasLibpq reports whether libpq's variables name a server or a database.
func (l *loader) hasLibpq() bool {
	return slices.ContainsFunc([]string{"PGHOST", "PGPORT", "PGDATABASE", "PGSERVICE"}, func(name string) bool {
		value, _ := l.sources.lookup(name)
		return value != ""
	})
}
