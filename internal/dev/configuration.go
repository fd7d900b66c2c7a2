package dev

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/bbmd-dev/bbmd/daemon"
	"github.com/bbmd-dev/bbmd/internal/config"
)

// configuration is what the project's files and the environment say, and what the
// private server adds to it.
type configuration struct {
	config.Config

	at          address
	sources     config.Sources
	fingerprint string
	chosen      bool // somebody has chosen every address to listen on
}

// configure reads the configuration, with the databases that nothing else has a
// server for on the private one at that address, and what is to listen on those.
func (e *Environment) configure(at address, listen addresses) (*configuration, error) {
	sources := e.options.Sources
	sources.Environ = e.environ(at)
	plain, err := config.Load(sources)
	if err != nil {
		return nil, err
	}
	c := &configuration{at: at, chosen: true, fingerprint: fingerprint(plain, at, e.options.Program)}
	for _, l := range listeners() {
		if isDefault(plain, l.key) {
			c.chosen = false
			sources.Environ = append(sources.Environ, l.variable+"="+*l.of(&listen))
		}
	}
	if e.options.Background && isDefault(plain, "log.format") {
		sources.Environ = append(sources.Environ, "BBMD_LOG__FORMAT="+string(config.LogText))
	}
	if isDefault(plain, "development_mode") && !slices.ContainsFunc(plain.Names(), func(name string) bool { return !private(plain, at, name) }) {
		sources.Environ = append(sources.Environ, "BBMD_DEVELOPMENT_MODE=true")
	}
	for _, name := range daemon.SchemaDatabases(plain) {
		if key := "databases." + name + ".schema.on_start"; isDefault(plain, key) {
			// Files change while they are written. Whoever writes them says when they are to run.
			sources.Environ = append(sources.Environ, "BBMD_DATABASES__"+variable(name)+"__SCHEMA__ON_START="+string(config.OnStartVerify))
		}
	}
	c.sources = sources
	c.Config, err = config.Load(sources)
	return c, err
}

// variable is what the name of a database is in the name of a variable.
func variable(name string) string { return strings.ToUpper(strings.ReplaceAll(name, "-", "_")) }

func isDefault(c config.Config, key string) bool { return c.Origin(key).Kind == config.OriginDefault }

// environ returns the environment with a connection string for each database that
// has none. One of an earlier private server's does not count.
func (e *Environment) environ(at address) []string {
	sources := e.options.Sources
	environ := slices.Clone(sources.Environ)
	if sources.Environ == nil {
		environ = os.Environ()
	}
	names := config.DatabaseNames(sources)
	if len(names) == 0 {
		names = []string{config.DefaultDatabase}
	}
	for _, name := range names {
		variables := config.DatabaseVariables(name)
		if !slices.ContainsFunc(variables, func(variable string) bool {
			value, _ := sources.Lookup(variable)
			return value != "" && !at.names(value)
		}) {
			environ = append(environ, variables[0]+"="+at.url(name))
		}
	}
	return environ
}

// private reports whether a database is on the private server.
func private(c config.Config, at address, name string) bool {
	return c.Databases[name].URLFile == "" && at.names(string(c.Databases[name].URL))
}

// private reports whether a database is on the private server.
func (c *configuration) private(name string) bool { return private(c.Config, c.at, name) }

// privates returns the databases that are on the private server.
func (c *configuration) privates() []string {
	return slices.DeleteFunc(c.Names(), func(name string) bool { return !c.private(name) })
}

// databases describes all of them.
func (c *configuration) databases() []Database {
	schemas := daemon.SchemaDatabases(c.Config)
	var all []Database
	for _, name := range c.Names() {
		all = append(all, Database{
			Name: name, Private: c.private(name), Where: describe(c.Databases[name]), Schema: slices.Contains(schemas, name),
		})
	}
	return all
}

// fingerprint is the same for the same configuration and program, wherever the
// private server is. A secret that has changed does not change it: it is read when it is used.
func fingerprint(c config.Config, at address, program string) string {
	sum := sha256.New()
	_, _ = fmt.Fprintf(sum, "%q\n", at.driver)
	for _, setting := range c.Settings() {
		value := setting.Value
		if name, isURL := strings.CutPrefix(setting.Key, "databases."); isURL {
			if name, isURL = strings.CutSuffix(name, ".url"); isURL && private(c, at, name) {
				value = "private"
			}
		}
		_, _ = fmt.Fprintf(sum, "%q=%q\n", setting.Key, value)
	}
	if info, err := os.Stat(program); err == nil {
		_, _ = fmt.Fprintf(sum, "%q %d %v\n", program, info.Size(), info.ModTime())
	}
	return hex.EncodeToString(sum.Sum(nil))
}

// Environ returns the environment in which every command of bbmd is about the databases
// as they are up: with the connection strings of those on the private server, and
// the profile that it was started with where no other is asked for. The error is
// [ErrDown] where the private server is needed and is not there.
func (e *Environment) Environ() ([]string, error) {
	_, c, err := e.current()
	if err != nil {
		return nil, err
	}
	return c.sources.Environ, nil
}

// current returns the state of the keeper and the configuration of what it has up.
func (e *Environment) current() (State, *configuration, error) {
	state, up, err := e.Look()
	if err != nil {
		return state, nil, err
	}
	at, err := e.address()
	if err != nil {
		return state, nil, err
	}
	if up && state.Profile != "" {
		e.profile(state.Profile)
	}
	c, err := e.configure(at, state.listening())
	if err != nil {
		return state, nil, err
	}
	if len(c.privates()) > 0 && (!up || state.Server == nil) {
		return state, c, ErrDown
	}
	return state, c, nil
}

// profile makes a profile that of all commands, unless another is asked for.
func (e *Environment) profile(name string) {
	const key = "BBMD_PROFILE"
	sources := &e.options.Sources
	if value, _ := sources.Lookup(key); value != "" {
		return
	}
	if sources.Environ == nil {
		sources.Environ = os.Environ()
	}
	sources.Environ = append(slices.Clone(sources.Environ), key+"="+name)
}

// Exports returns the variables that lead to the databases on the private server, as NAME=value, sorted.
func (e *Environment) Exports() ([]string, error) {
	_, c, err := e.current()
	if err != nil {
		return nil, err
	}
	var exports []string
	for _, name := range c.privates() {
		exports = append(exports, config.DatabaseVariables(name)[0]+"="+c.at.url(name))
	}
	if len(exports) == 0 {
		return nil, errors.New("no database is on the private server: all of them have connection strings already")
	}
	return exports, nil
}
