package build

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"runtime"
	"slices"
	"strings"
)

// work is a Work as a program prints it.
type work struct {
	Name string `json:"name"`
	Kind string `json:"kind"`
	Path string `json:"path"` // of the package that it is in
}

// ask returns the new Works of a program by the module that they were asked for
// with. It refuses a program that does not start, and a module without Works.
func (b *builder) ask(ctx context.Context, program string) (map[string][]string, error) {
	native, err := b.native(ctx)
	if err != nil || !native {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, program, "works", "--output", "json")
	cmd.Dir, cmd.Env = b.dir, []string{} // no configuration, no plugins
	var out, complaint bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &complaint
	if err := cmd.Run(); err != nil {
		_, _ = complaint.WriteTo(b.Log)
		return nil, fmt.Errorf("the program that was built does not start: %w: what it says is above; a Work whose name is taken has to get another", orCause(ctx, err))
	}
	var all []work
	if err := json.Unmarshal(out.Bytes(), &all); err != nil {
		return nil, fmt.Errorf("read the Works of the program that was built: %w", err)
	}
	return b.sort(all)
}

// sort finds out which Works are whose.
func (b *builder) sort(all []work) (map[string][]string, error) {
	works := map[string][]string{}
	for _, w := range all {
		if slices.Contains(b.Known, w.Name) {
			continue
		}
		if owner := b.owner(w.Path); owner != "" {
			works[owner] = append(works[owner], w.Name)
		}
	}
	var problems []error
	for _, m := range b.With {
		if len(works[m.Path]) == 0 {
			problems = append(problems, fmt.Errorf("%s registers no Work: let a func init of that very package call registry.Register, or name the package that does", m.Path))
		}
	}
	return works, errors.Join(problems...)
}

// owner returns the path that was asked for and leads to a package, or nothing. With
// one path alone, everything that is new is its own.
func (b *builder) owner(path string) (owner string) {
	for _, m := range b.With {
		if (path == m.Path || strings.HasPrefix(path, m.Path+"/")) && len(m.Path) > len(owner) {
			owner = m.Path
		}
	}
	if owner == "" && len(b.With) == 1 {
		return b.With[0].Path
	}
	return owner
}

// native reports whether what is built runs here.
func (b *builder) native(ctx context.Context) (bool, error) {
	out, err := b.output(ctx, "env", "GOOS", "GOARCH")
	if err != nil {
		return false, err
	}
	return strings.Join(strings.Fields(string(out)), "/") == runtime.GOOS+"/"+runtime.GOARCH, nil
}
