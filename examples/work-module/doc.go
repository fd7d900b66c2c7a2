// Package works holds two Works, one in SQL and one in Go, and their tests. It
// is a module of its own, as yours would be; docs/writing-works.md of bbmd walks
// through it. Imported, it registers its Works with bbmd's default registry.
package works
