package dev

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"time"

	"github.com/bbmd-dev/bbmd/daemon"
	"github.com/bbmd-dev/bbmd/internal/config"
)

// Options say whose environment it is.
type Options struct {
	// State is the state directory. Defaults to .bbmd/dev beside the configuration
	// file, or in the working directory where there is none of the project's own.
	State string
	// Sources are those of the configuration.
	Sources config.Sources
	// Version of bbmd.
	Version string

	// Driver is the driver that connection strings of the private server name, as
	// SQLAlchemy's do: asyncpg, for example. Empty names none. Nil: as the last time.
	Driver *string

	// Program and Arguments run [Environment.Serve], for [Environment.Up].
	Program   string
	Arguments []string

	// Background says that this process is one that Up has started: its log is read
	// by people, later.
	Background bool
	// Log is where Serve logs to.
	Log io.Writer
	// Encode returns what others are to know of what came of the schemas. Nil: nothing.
	Encode func([]daemon.Outcome) json.RawMessage
	// Code is the exit code of an error, which Up then reports. Nil: 1.
	Code func(error) int
	// Step is told what is being done. Nil: nobody is.
	Step func(string)
	// Ready is told when all is up. Nil: nobody is.
	Ready func(State) error
}

// Environment is a project's. Its methods may be called from any number of
// processes at once.
type Environment struct {
	options Options
	home    home
}

// New returns the environment of a project. It changes nothing yet.
func New(o Options) (*Environment, error) {
	dir := o.State
	if dir == "" {
		file, err := o.Sources.Path()
		if err != nil {
			return nil, err
		}
		dir = filepath.Join(projectDir(file), folder, "dev")
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("resolve the state directory: %w", err)
	}
	if o.Code == nil {
		o.Code = func(error) int { return 1 }
	}
	if o.Step == nil {
		o.Step = func(string) {}
	}
	if o.Ready == nil {
		o.Ready = func(State) error { return nil }
	}
	if o.Encode == nil {
		o.Encode = func([]daemon.Outcome) json.RawMessage { return nil }
	}
	return &Environment{options: o, home: home(dir)}, nil
}

// projectDir is the directory of a configuration file. That of the whole
// machine is no project's.
func projectDir(file string) string {
	if file == "" || strings.HasPrefix(file, "/etc/") {
		return "."
	}
	return filepath.Dir(file)
}

// Dir returns the state directory.
func (e *Environment) Dir() string { return string(e.home) }

// Exists reports whether the state directory is there, up or not.
func (e *Environment) Exists() bool { return e.home.ours() }

// Changed reports whether the environment is up with another configuration, or by another
// program, than it would be now.
func (e *Environment) Changed() (bool, error) {
	state, c, err := e.current()
	if err != nil {
		return false, err
	}
	return c.fingerprint != state.Fingerprint, nil
}

// LogPath returns the path of the keeper's log.
func (e *Environment) LogPath() string { return e.home.path(logFile) }

// ServerLogPath returns the path of the private server's log.
func (e *Environment) ServerLogPath() string { return filepath.Join(e.home.path(serverDir), "log") }

// ErrDown says that the environment is not up, where it has to be.
var ErrDown = errors.New("the environment is not up: run `bbmd dev up`")

// A FailedError is why a keeper has ended before it was up. Code is what its
// [Options.Code] made of it.
type FailedError struct {
	Text string
	Code int
}

// Error returns what the keeper has said.
func (e *FailedError) Error() string { return e.Text }

// A RunningError says that the environment is up already, or about to be.
type RunningError struct{ PID int }

// Error names the process and the way out.
func (e *RunningError) Error() string {
	return fmt.Sprintf("the environment is up already, process %d: `bbmd dev down` ends it", e.PID)
}

// Look returns what the keeper says, and whether it lives. Where it does not, the
// state is what it said last, which is empty when it has ended in order.
func (e *Environment) Look() (State, bool, error) {
	holder, err := e.home.holder()
	if err != nil {
		return State{}, false, err
	}
	state := e.home.readState()
	if holder != 0 && state.PID != holder { // it has not come to say anything yet
		return State{PID: holder, Phase: Starting, Started: time.Now()}, true, nil
	}
	return state, holder != 0, nil
}

// describe says where a database is, without a secret.
func describe(d config.Database) string {
	return cmp.Or(strings.TrimSpace(d.URL.String()), d.URLFile)
}
