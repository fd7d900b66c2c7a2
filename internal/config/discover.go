package config

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// What a service's directory has by convention.
const (
	discoveredMigrations = "migrations"
	discoveredModels     = "schema.sql"
)

// discover adds the databases that are found by convention, and completes those
// that are configured by hand. A service without a connection string is none
// of this process's business, as where one image holds the migrations of all.
func (l *loader) discover() {
	dir := l.merged.String("discover")
	if dir == "" {
		return
	}
	if looksLikeConn(dir) {
		l.problem("discover", l.loaded.origins["discover"], refuse("it holds a connection string, where a path belongs", "name the directory of the services"))
		return
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		l.problem("discover", l.loaded.origins["discover"], refuse(fileError(dir, err).Reason, "correct the path, or remove the key"))
		return
	}
	values := layer{}
	for _, entry := range entries {
		if service := filepath.Join(dir, entry.Name()); isDir(filepath.Join(service, discoveredMigrations)) {
			l.discovered(values, service)
		}
	}
	l.put(values)
	if len(l.databases()) == 0 && !l.hasProblem("discover") {
		l.nothingDiscovered()
	}
}

// discovered adds what a service's directory says about its database.
func (l *loader) discovered(into layer, service string) {
	name := filepath.Base(service)
	origin := Origin{Kind: OriginDiscovered, Detail: service}
	if !databaseName.MatchString(name) {
		l.problem("discover", origin, badDatabaseName(name))
		return
	}
	if !slices.Contains(l.databases(), name) {
		if !l.hasVariable(name) {
			l.loaded.unnamed = append(l.loaded.unnamed, name)
			return
		}
		into["databases."+name] = map[string]any{}
		l.loaded.origins["databases."+name] = origin
	}
	schema := "databases." + name + ".schema."
	if l.merged.String(schema+"migrations") != "" || l.merged.String(schema+"command") != "" {
		return
	}
	l.set(into, strings.Split(schema+"migrations", "."), filepath.Join(service, discoveredMigrations), "", origin)
	models := filepath.Join(service, discoveredModels)
	if info, err := os.Stat(models); err == nil && info.Mode().IsRegular() && l.merged.String(schema+"models") == "" {
		l.set(into, strings.Split(schema+"models", "."), models, "", origin)
	}
}

func (l *loader) nothingDiscovered() {
	origin := l.loaded.origins["discover"]
	if len(l.loaded.unnamed) == 0 {
		l.problem("discover", origin, refuse("there is no <name>/"+discoveredMigrations+" in it", "correct the path, or list the databases"))
		return
	}
	var variables []string
	for _, name := range l.loaded.unnamed {
		variables = append(variables, databaseVariables(name)[0])
	}
	l.problem("discover", origin, refuse("it has services, and nothing says how to reach their databases", "set one or more of "+strings.Join(variables, ", ")))
}

func (l *loader) hasVariable(name string) bool {
	return slices.ContainsFunc(databaseVariables(name), func(variable string) bool {
		value, _ := l.sources.lookup(variable)
		return value != ""
	})
}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// choose leaves out the databases that are not in the profile, so that what is
// missing for them is no mistake.
func (l *loader) choose() {
	profile := l.merged.String("profile")
	if profile == "" {
		return
	}
	profiles, _ := l.merged.Get("profiles").(Profiles)
	chosen, ok := profiles.Databases(profile)
	if !ok {
		return // which is reported with everything else
	}
	for _, name := range l.databases() {
		if !slices.Contains(chosen, name) {
			l.merged.Delete("databases." + name)
			l.loaded.others = append(l.loaded.others, name)
		}
	}
}

// Others returns the databases that are configured and were left out, since
// they are not in the profile, and those that were discovered and have no
// connection string; each is sorted.
func (c Config) Others() (outside, unreachable []string) {
	if c.loaded == nil {
		return nil, nil
	}
	return c.loaded.others, c.loaded.unnamed
}
