package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"
)

// confirm asks a person to type a word. Where nobody can be asked it refuses.
func (a *app) confirm(question, word string) error {
	file, ok := a.in.(*os.File)
	if !ok || !term.IsTerminal(int(file.Fd())) {
		return withCode(exitRefused, fmt.Errorf("%s, and nobody can be asked here: say --yes", question))
	}
	return a.ask(question, word)
}

// ask asks whoever is at the other end of the input.
func (a *app) ask(question, word string) error {
	_, _ = fmt.Fprintf(a.err, "%s.\nType %s to go on: ", question, word)
	line, err := bufio.NewReader(a.in).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("read the answer: %w", err)
	}
	if strings.TrimSpace(line) != word {
		return withCode(exitRefused, fmt.Errorf("not confirmed: %s was not typed", word))
	}
	return nil
}
