package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
)

// compatible are the licences that may be part of a program under Apache-2.0. What the detector takes the BSD licence of Go's own
// modules for is BSD-Source-Code.
func compatible() []string {
	return []string{"Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "BSD-Source-Code", "ISC", "MIT", "Unlicense"}
}

// read are the licences that people have read where the detector finds none, or another one.
func read() map[string]string {
	return map[string]string{
		"std":                         "BSD-3-Clause", // Go's own, whose licence file is not in a module
		"github.com/pressly/goose/v3": "MIT",          // with a second notice, of what it began as, above it
	}
}

type licence struct {
	License struct{ ID, Name string }
}

type component struct {
	Name, Version string
	Licenses      []licence
	Evidence      struct{ Licenses []licence }
}

func main() {
	if err := check(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func check(in io.Reader, out io.Writer) error {
	var bill struct{ Components []component }
	if err := json.NewDecoder(in).Decode(&bill); err != nil {
		return fmt.Errorf("read the bill of materials: %w", err)
	}
	if len(bill.Components) == 0 {
		return errors.New("the bill of materials names no component: was it made?")
	}
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	var wrong []string
	for _, c := range bill.Components {
		names := c.licences()
		if name, ok := read()[c.Name]; ok {
			names = []string{name}
		}
		fmt.Fprintf(table, "%s\t%s\t%s\n", c.Name, c.Version, strings.Join(names, ", "))
		if !slices.ContainsFunc(names, func(name string) bool { return slices.Contains(compatible(), name) }) {
			wrong = append(wrong, c.Name)
		}
	}
	if err := table.Flush(); err != nil {
		return err
	}
	if len(wrong) > 0 {
		return fmt.Errorf("no licence is known that goes with Apache-2.0: %s: look into their licence files", strings.Join(wrong, ", "))
	}
	return nil
}

func (c component) licences() []string {
	var names []string
	for _, l := range append(c.Licenses, c.Evidence.Licenses...) {
		name := l.License.ID
		if name == "" {
			name = l.License.Name
		}
		names = append(names, name)
	}
	return names
}
