package main

// What the tests run.
var (
	// Matrix is what the program does.
	Matrix = matrix
	// Stream runs a command.
	Stream = stream
)
