package main

// What the tests run from inside.

var (
	// Provide is what the program does.
	Provide = provide
	// Fetch gets binaries by npm into a folder.
	Fetch = fetch
	// Manifest is what npm gets to read.
	Manifest = manifest
	// Architecture is npm's name for this kind of machine.
	Architecture = architecture
)
