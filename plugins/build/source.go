package build

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// writeModule writes the module, with an import of every package. What checksums the
// replaced directories know is known there, too, so that nobody has to be asked.
func (b *builder) writeModule(context.Context) error {
	var module, imports, sums bytes.Buffer
	fmt.Fprintf(&module, "module %s\n\ngo %s\n", custom, leastGo)
	for _, r := range b.Replace {
		by := r.By
		if r.local() {
			by = strconv.Quote(by)
			if known, err := os.ReadFile(filepath.Join(r.By, "go.sum")); err == nil {
				sums.Write(known)
			}
		} else if path, version, ok := strings.Cut(by, "@"); ok {
			by = path + " " + version
		}
		fmt.Fprintf(&module, "\nreplace %s => %s\n", r.Module, by)
	}
	fmt.Fprint(&imports, "package main\n\nimport (\n")
	for _, m := range b.With {
		fmt.Fprintf(&imports, "\t_ %q\n", m.Path)
	}
	fmt.Fprint(&imports, ")\n")
	for name, content := range map[string][]byte{"go.mod": module.Bytes(), "go.sum": sums.Bytes(), withFile: imports.Bytes()} {
		if err := os.WriteFile(filepath.Join(b.dir, name), content, 0o600); err != nil {
			return fmt.Errorf("build: %w", err)
		}
	}
	return nil
}

// withFile is the file of the imports; bbmd has none of that name.
const withFile = "with_modules.go"

// fetch lets the go command find the modules that are not replaced, in the versions
// that were asked for.
func (b *builder) fetch(ctx context.Context) error {
	var queries []string
	if !b.replaced(BBMD) {
		version := b.Version
		if version == "" {
			version = "latest"
		}
		queries = append(queries, BBMD+"@"+version)
	}
	for _, m := range b.With {
		if !b.replaced(m.Path) {
			queries = append(queries, m.query())
		}
	}
	if len(queries) == 0 {
		return nil
	}
	if err := b.run(ctx, append([]string{"get"}, queries...)...); err != nil {
		return fmt.Errorf("%w: what is wrong is above; a module that is on this machine goes with --replace MODULE=DIRECTORY", err)
	}
	return nil
}

// replaced reports whether a package is in a module that is taken from somewhere else.
func (b *builder) replaced(path string) bool {
	for _, r := range b.Replace {
		if path == r.Module || strings.HasPrefix(path, r.Module+"/") {
			return true
		}
	}
	return false
}

// copyCommand puts the files of bbmd's command beside the imports.
func (b *builder) copyCommand(ctx context.Context) error {
	raw, err := b.output(ctx, "list", "-mod=mod", "-json=Dir,GoFiles,EmbedFiles", BBMD+"/cmd/bbmd")
	if err != nil {
		return fmt.Errorf("find bbmd's own source: %w: what is wrong is above; a clone of it goes with --replace %s=DIRECTORY", err, BBMD)
	}
	var found struct {
		Dir                 string
		GoFiles, EmbedFiles []string
	}
	if err := json.Unmarshal(raw, &found); err != nil {
		return fmt.Errorf("find bbmd's own source: %w", err)
	}
	for _, name := range append(found.GoFiles, found.EmbedFiles...) {
		if err := copyFile(filepath.Join(found.Dir, name), filepath.Join(b.dir, name)); err != nil {
			return fmt.Errorf("copy bbmd's own source: %w", err)
		}
	}
	return nil
}

func copyFile(from, to string) error {
	content, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		return err
	}
	return os.WriteFile(to, content, 0o600) //nolint:gosec // the names are those of bbmd's own files
}
