// Command stuck is a daemon whose event loop stops for ever behind the first
// background migration that finishes, while everything else goes on: what a
// liveness probe is there for. Its log is what it waits for.
package main
