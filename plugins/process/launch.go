package process

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/bbmd-dev/bbmd/plugins"
)

// location is where a plugin is and what it has to be.
type location struct {
	parent string // the directory of plugins, absolute
	name   string // the plugin's, in it
	digest string // of everything in the plugin's; empty: whatever is there
}

func (l location) dir() string { return filepath.Join(l.parent, l.name) }

// errChanged says that a directory is not any more what its plugin was made of.
var errChanged = errors.New("the plugin's files have changed since it was loaded: bbmd plugins reload, or put them back")

// command returns the program, ready to be started with what it inherits. It
// refuses files that are not those which the digest stands for. The caller closes
// the file, which may be nil, once the program is started.
func (l location) command(m *Manifest) (cmd *exec.Cmd, program *os.File, err error) {
	dir, err := plugins.OpenDir(l.parent)
	if err != nil {
		return nil, nil, err
	}
	defer func() { _ = dir.Close() }() // it was only read
	if m.ownProgram() {
		if program, err = dir.Open(filepath.Join(l.name, m.Command[0])); err != nil {
			return nil, nil, err
		}
	}
	if err := l.check(dir, m, program); err != nil {
		if program != nil {
			_ = program.Close() // it was only read
		}
		return nil, nil, err
	}
	env := environment(m.Env, os.LookupEnv)
	path := m.Command[0]
	if program == nil {
		if path, err = lookPath(path, env); err != nil {
			return nil, nil, err
		}
	}
	cmd = &exec.Cmd{Path: path, Args: m.Command, Dir: l.dir(), Env: env, SysProcAttr: attributes()}
	if program != nil {
		cmd.ExtraFiles = []*os.File{program}
		byDescriptor(cmd)
	}
	return cmd, program, nil
}

// check compares the directory with the digest, and the opened program with the
// file that was a part of it.
func (l location) check(dir *plugins.Dir, m *Manifest, program *os.File) error {
	if l.digest != "" {
		switch digest, err := dir.Digest(l.name); {
		case err != nil:
			return err
		case digest != l.digest:
			return errChanged
		}
	}
	if program == nil {
		return nil
	}
	again, err := dir.Open(filepath.Join(l.name, m.Command[0]))
	if err != nil {
		return err
	}
	defer func() { _ = again.Close() }() // it was only looked at
	opened, err := program.Stat()
	if err != nil {
		return err
	}
	counted, err := again.Stat()
	if err != nil {
		return err
	}
	switch {
	case !os.SameFile(opened, counted):
		return errChanged
	case !executable(opened):
		return fmt.Errorf("%s cannot be executed: chmod +x it, or name its interpreter first in the command", program.Name())
	default:
		return nil
	}
}

// lookPath finds a program in the PATH that it will have itself.
func lookPath(name string, env []string) (string, error) {
	if filepath.IsAbs(name) {
		return name, nil
	}
	for _, dir := range filepath.SplitList(env[0][len("PATH="):]) {
		path := filepath.Join(dir, name)
		if info, err := os.Stat(path); err == nil && executable(info) {
			return path, nil
		}
	}
	return "", fmt.Errorf("%s is not in PATH: install it, or name the program by its absolute path", name)
}
