// Package config says how bbmd is configured: what can be set, what it is set
// to, where each value came from, and what changed since the last look.
//
// [Load] merges four layers, the later over the earlier: defaults, one file
// (YAML, TOML or JSON), the environment, command-line flags. [Watcher] loads
// again when the file changes or when it is told to, and [Live] sorts what
// changed into what takes effect at once and what needs a restart.
//
// It guarantees:
//
//   - One look finds everything that is wrong: Load returns all problems,
//     joined, each a [KeyError] that names the key, where the value came from,
//     the reason and the way out.
//   - Nothing is ignored: an unknown key in the file or an unknown BBMD_
//     variable is a problem, not a comment.
//   - Secrets stay in: a [URL] prints, logs and marshals without its password,
//     and no error of this package quotes a value that could hold one.
//
// It refuses to apply half of a new configuration: a reload that has a problem
// changes nothing.
//
// It is a leaf: it knows PostgreSQL's connection strings, and nothing else of
// bbmd.
package config
