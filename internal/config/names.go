package config

import (
	"slices"
)

// Path returns the file that [Load] would read, or an empty path where there is
// none. It may have every mistake that a file can have.
func (s Sources) Path() (string, error) { return s.find() }

// Lookup returns a variable of the environment that [Load] would read.
func (s Sources) Lookup(name string) (value string, set bool) { return s.lookup(name) }

// DatabaseNames returns the names of all databases that the sources know, sorted:
// those that are configured and those that are discovered, whether or not
// anything says how to reach them, and whatever else is wrong. Who has a server
// for those that nobody else has one for can then tell [Load] of it, by
// [DatabaseVariables].
func DatabaseNames(sources Sources) []string {
	l := newLoader(sources)
	l.readFile()
	l.readEnvironment()
	l.readFlags()
	l.discover()
	names := slices.Concat(l.databases(), l.loaded.unnamed)
	slices.Sort(names)
	return slices.Compact(names)
}

// DatabaseVariables returns the environment variables that can hold the
// connection string of a database, the one to set first.
func DatabaseVariables(name string) []string { return databaseVariables(name) }
