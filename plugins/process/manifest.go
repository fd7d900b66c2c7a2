package process

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// ManifestName is the file that makes a directory a plugin.
const ManifestName = "plugin.json"

// Manifest says what a plugin is, without running it. [ParseManifest] makes
// complete ones.
type Manifest struct {
	// Protocol is the version that the program speaks: 1.
	Protocol int `json:"protocol"`

	// Name is 1 to 63 lower case letters, digits and underscores, a letter first.
	Name string `json:"name"`

	// Version is the author's own, and only shown.
	Version string `json:"version"`

	// Command is the program and its arguments, run in the plugin's directory. A
	// program that begins with ./ is the plugin's own, another one is looked up in
	// PATH.
	Command []string `json:"command"`

	// Env lists variables of bbmd's environment that the program gets, besides
	// PATH, HOME, LANG and TZ.
	Env []string `json:"env"`

	// MaxProcs is how many of the program may run at the same time, each with one
	// task. Defaults to 4, at most 64.
	MaxProcs int `json:"max_procs"`

	// Works that the program has. At least one.
	Works []WorkSpec `json:"works"`
}

// WorkSpec is a Work in a manifest.
type WorkSpec struct {
	Name      string     `json:"name"`      // as in registry.Work
	Version   int        `json:"version"`   // as in registry.Work. Defaults to 1
	Summary   string     `json:"summary"`   // one sentence for people
	Timeout   Duration   `json:"timeout"`   // how long a task may take. Defaults to 45s
	Verify    bool       `json:"verify"`    // the program answers verify
	Check     bool       `json:"check"`     // the program answers check
	Arguments []Argument `json:"arguments"` // that a migration may have
}

// Argument is one argument of a Work.
type Argument struct {
	Name     string          `json:"name"`
	Type     string          `json:"type"` // string, integer, number, boolean, or strings for a list
	Summary  string          `json:"summary"`
	Required bool            `json:"required"`
	Default  json.RawMessage `json:"default"` // for migrations that do not say. Nil: none
}

const (
	defaultProcs   = 4
	mostProcs      = 64
	defaultTimeout = 45 * time.Second // shorter than a worker session may idle in its transaction
	mostTimeout    = time.Hour
)

// Duration is a time.Duration, written as "90s" or "1m30s".
type Duration time.Duration

// UnmarshalJSON reads a duration.
func (d *Duration) UnmarshalJSON(raw []byte) error {
	var text string
	if err := json.Unmarshal(raw, &text); err != nil {
		return errors.New(`duration is not a text: write it as "90s"`)
	}
	parsed, err := time.ParseDuration(text)
	if err != nil || parsed <= 0 || parsed > mostTimeout {
		return fmt.Errorf(`duration %q is none between 0 and %s: write it as "90s"`, text, mostTimeout)
	}
	*d = Duration(parsed)
	return nil
}

// ParseManifest reads a manifest and fills in its defaults. Its error has a line
// for everything that is wrong: the file, the key, the reason and the way out.
// path is only for these.
func ParseManifest(path string, content []byte) (Manifest, error) {
	var m Manifest
	problems := &problems{path: path}
	if err := parse(content, &m, problems); err != nil {
		problems.add("", err.Error())
		return m, problems.err()
	}
	m.complete()
	m.validate(problems)
	return m, problems.err()
}

func (m *Manifest) complete() {
	if m.MaxProcs == 0 {
		m.MaxProcs = defaultProcs
	}
	for i := range m.Works {
		w := &m.Works[i]
		if w.Version == 0 {
			w.Version = 1
		}
		if w.Timeout == 0 {
			w.Timeout = Duration(defaultTimeout)
		}
	}
}

// problems collects what is wrong with a file.
type problems struct {
	path string
	all  []error
}

func (p *problems) add(key, reason string) {
	if key != "" {
		reason = key + ": " + reason
	}
	p.all = append(p.all, fmt.Errorf("%s: %s", p.path, reason))
}

func (p *problems) err() error { return errors.Join(p.all...) }
