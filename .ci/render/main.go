package main

import (
	"errors"
	"fmt"
	"io"
	"os"
)

func main() {
	if err := render(os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func render(arguments []string, out io.Writer) error {
	if len(arguments) == 0 {
		return errors.New("usage: render kustomization|chart|path [ARGUMENT ...]")
	}
	switch command, rest := arguments[0], arguments[1:]; command {
	case "kustomization":
		return kustomization(rest, out)
	case "chart":
		return chart(rest, out)
	case "path":
		path, err := os.Executable()
		if err != nil {
			return err
		}
		_, err = fmt.Fprintln(out, path)
		return err
	default:
		return fmt.Errorf("there is no command %q", command)
	}
}
