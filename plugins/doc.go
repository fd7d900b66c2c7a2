// Package plugins adds Works to a bbmd that were not compiled into it.
//
// A [Source] finds the plugins of one kind in a directory and makes Works of
// them; plugins/sqlfile and plugins/process are two. A [Catalog] puts the Works
// that are compiled in and those of its sources together, and loads again what
// changed, told apart by content. Whoever asks it for Works sees ordinary ones.
//
// The package guarantees that a name stands for one Work at a time, that a
// compiled Work keeps its name whatever lies in the directory, that a plugin
// which is broken keeps no other from being used, and that a dynamic Work
// carries the digest of the very bytes it was made of. It refuses files and
// directories that others can write, links that lead out of the directory,
// and, where the policy says so, what the lock file does not vouch for.
package plugins
