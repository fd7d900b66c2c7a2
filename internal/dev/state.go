package dev

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"
)

// Phase is how far a keeper is.
type Phase string

// The phases of a keeper.
const (
	Starting Phase = "starting"
	Running  Phase = "running"
	Stopping Phase = "stopping"
	Failed   Phase = "failed" // and it has ended, after it said why
)

// State is what a keeper says of itself. It is true while the keeper's process lives.
type State struct {
	PID     int       `json:"pid"`
	Phase   Phase     `json:"phase"`
	Step    string    `json:"step,omitempty"` // what it is doing, while it starts
	Started time.Time `json:"started"`
	Version string    `json:"version"` // of bbmd

	ConfigFile  string `json:"config_file,omitempty"`
	Profile     string `json:"profile,omitempty"`
	Fingerprint string `json:"fingerprint"` // of the configuration and the program

	Server    *Server    `json:"server,omitempty"`    // nil: all databases are elsewhere
	Listen    string     `json:"listen,omitempty"`    // address of the probes; empty: none
	Dashboard string     `json:"dashboard,omitempty"` // address of the dashboard; empty: none
	Databases []Database `json:"databases"`

	Notes []string `json:"notes,omitempty"` // what is not as it was the last time

	Incomplete bool `json:"incomplete,omitempty"` // a schema did not come up, so the daemon was not ready

	// Outcomes are what came of the schemas at the start, as [Options.Encode] has put it.
	Outcomes json.RawMessage `json:"outcomes,omitempty"`

	Error string `json:"error,omitempty"` // why it failed
	Code  int    `json:"code,omitempty"`  // what Options.Code made of that
}

// Server is the private server.
type Server struct {
	PID     int    `json:"pid"`
	Port    int    `json:"port"` // of the loopback interface
	Version string `json:"version"`
	Dir     string `json:"dir"`
	Log     string `json:"log"`
}

// Database is one that the daemon looks after.
type Database struct {
	Name    string `json:"name"`
	Private bool   `json:"private"` // on the private server
	Where   string `json:"where"`   // without a secret
	Schema  bool   `json:"schema"`  // something brings its schema up
}

func (h home) writeState(s *State) error {
	content, err := json.MarshalIndent(s, "", "  ")
	if err == nil {
		err = writeFile(h.path(stateFile), append(content, '\n'))
	}
	if err != nil {
		return fmt.Errorf("write the keeper's state: %w", err)
	}
	return nil
}

// readState returns what the last keeper has said, the zero State where none has, or what it said cannot be understood.
func (h home) readState() (s State) {
	content, err := os.ReadFile(h.path(stateFile))
	if err != nil || json.Unmarshal(content, &s) != nil {
		return State{}
	}
	return s
}

// settings is what stays from one keeper to the next.
type settings struct {
	Port   int       `json:"port,omitempty"` // of the private server
	Driver string    `json:"driver,omitempty"`
	Listen addresses `json:"listen"` // of the daemon
}

func (h home) readSettings() (s settings, err error) {
	content, err := os.ReadFile(h.path(settingsFile))
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	if err != nil {
		return s, fmt.Errorf("read settings: %w", err)
	}
	if err := json.Unmarshal(content, &s); err != nil {
		return s, fmt.Errorf("read %s: %w: `bbmd dev clean` begins anew", h.path(settingsFile), err)
	}
	return s, nil
}

func (h home) writeSettings(s settings) error {
	content, err := json.Marshal(s)
	if err == nil {
		err = writeFile(h.path(settingsFile), append(content, '\n'))
	}
	if err != nil {
		return fmt.Errorf("write settings: %w", err)
	}
	return nil
}
