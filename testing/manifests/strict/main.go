package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"

	"k8s.io/apimachinery/pkg/util/yaml"
)

func main() {
	var found int
	for _, name := range os.Args[1:] {
		problems, err := check(name)
		if err != nil {
			problems = append(problems, err.Error())
		}
		for _, problem := range problems {
			_, _ = fmt.Fprintf(os.Stdout, "%s: %s\n", name, problem)
		}
		found += len(problems)
	}
	if found > 0 {
		os.Exit(1)
	}
}

// check returns what is wrong with the documents of a file.
func check(name string) (problems []string, err error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	documents := yaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(text)))
	for {
		document, err := documents.Read()
		if errors.Is(err, io.EOF) {
			return problems, nil
		}
		if err != nil {
			return problems, fmt.Errorf("split the documents: %w", err)
		}
		problems = append(problems, checkDocument(document)...)
	}
}
