package plugins

import (
	"fmt"

	"github.com/bbmd-dev/bbmd/registry"
)

// Kind is a way in which a Work gets into bbmd.
type Kind string

// The kinds of plugins.
const (
	KindCompiled Kind = "compiled" // part of the program
	KindSQL      Kind = "sql"      // one file of SQL; see plugins/sqlfile
	KindProcess  Kind = "process"  // a program of any language; see plugins/process
)

// Origin is where a Work comes from.
type Origin struct {
	Kind   Kind   `json:"kind"`
	Path   string `json:"path,omitempty"`   // of the file or directory; of a compiled Work its package, if known
	Digest string `json:"digest,omitempty"` // "sha256:" and 64 hexadecimal digits; empty for a compiled Work
}

// State says how a plugin is doing. Its values, like those of [Kind], are those of
// labels in metrics and of fields in JSON: they stay as they are.
type State string

// The states of a plugin. Its Works can be used in the states ok and unpinned,
// and in the state mismatch where the policy only warns.
const (
	StateOK       State = "ok"
	StateUnpinned State = "unpinned" // the lock file does not name it
	StateMismatch State = "mismatch" // the lock file names it with another digest
	StateInvalid  State = "invalid"  // it cannot be made a Work of
	StateConflict State = "conflict" // somebody else has its name
	StateChanged  State = "changed"  // a migration that is under way began with another digest
	StateMissing  State = "missing"  // the lock file or a migration names it, and it is not there
	StateCrashed  State = "crashed"  // its program ended too often
)

// States returns all states, in a fresh slice.
func States() []State {
	return []State{StateOK, StateUnpinned, StateMismatch, StateInvalid, StateConflict, StateChanged, StateMissing, StateCrashed}
}

// Plugin is what a [Snapshot] knows of one plugin.
type Plugin struct {
	Name   string // its own; a plugin of one Work has the Work's
	Origin Origin
	State  State
	Reason string          // why it is not ok, and the way out; empty for ok
	Works  []registry.Work // complete where Usable, else as far as they are known
	Usable bool            // its Works can be looked up
}

// Policy is what a plugin needs to be used.
type Policy string

// The policies, from lax to strict.
const (
	PolicyOff      Policy = "off"      // the lock file is not looked at
	PolicyWarn     Policy = "warn"     // what the lock file does not vouch for is used, with a warning
	PolicyRequired Policy = "required" // what the lock file does not vouch for is not used
)

// ParsePolicy returns the policy of that name.
func ParsePolicy(name string) (Policy, error) {
	switch p := Policy(name); p {
	case PolicyOff, PolicyWarn, PolicyRequired:
		return p, nil
	default:
		return "", fmt.Errorf("policy %q is none: write off, warn or required", name)
	}
}

// DefaultPolicy returns the policy of a kind for which nobody chose one: what
// runs a program is to be vouched for, what only sends SQL is warned about.
func DefaultPolicy(kind Kind) Policy {
	if kind == KindProcess {
		return PolicyRequired
	}
	return PolicyWarn
}
