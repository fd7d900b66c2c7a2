// Package tree holds no code but tests, of what the linter does not see: how
// the files of this repository are laid out and documented. A violation names
// the file and what to do.
package tree
