package main

import "io"

// Run is run.
var Run = run

// Ask asks as a command does on a terminal.
func Ask(in io.Reader, out io.Writer, question, word string) (exit int, err error) {
	a := newApp(io.Discard, out)
	a.in = in
	err = a.ask(question, word)
	return exitCode(err), err
}
