package process

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"github.com/bbmd-dev/bbmd/plugins/process/protocol"
)

var (
	namePattern     = regexp.MustCompile(`^[a-z][a-z0-9_]{0,62}$`)
	variablePattern = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
)

const nameRule = "is not 1 to 63 lower case letters, digits and underscores, a letter first: choose another"

// validate says everything that is wrong with a manifest.
func (m *Manifest) validate(problems *problems) {
	if m.Protocol != protocol.Version {
		problems.add("protocol", fmt.Sprintf("%d is not supported: this bbmd speaks %d", m.Protocol, protocol.Version))
	}
	if !namePattern.MatchString(m.Name) {
		problems.add("name", fmt.Sprintf("%q %s", m.Name, nameRule))
	}
	if m.MaxProcs < 1 || m.MaxProcs > mostProcs {
		problems.add("max_procs", fmt.Sprintf("%d is out of range: choose 1 to %d", m.MaxProcs, mostProcs))
	}
	m.validateCommand(problems)
	for i, variable := range m.Env {
		if reason := refusedVariable(variable); reason != "" {
			problems.add(fmt.Sprintf("env[%d]", i), reason)
		}
	}
	if len(m.Works) == 0 {
		problems.add("works", `there is none: add one, as {"name": "my_work"}`)
	}
	for i := range m.Works {
		at := fmt.Sprintf("works[%d]", i)
		m.Works[i].validate(at, problems)
		if slices.ContainsFunc(m.Works[:i], func(w WorkSpec) bool { return w.Name == m.Works[i].Name }) {
			problems.add(at+".name", fmt.Sprintf("%q is there twice: choose another", m.Works[i].Name))
		}
	}
}

func (m *Manifest) validateCommand(problems *problems) {
	if len(m.Command) == 0 || m.Command[0] == "" {
		problems.add("command", `it is missing: name the program and its arguments, as ["python3", "run.py"]`)
		return
	}
	for i, word := range m.Command {
		if strings.ContainsRune(word, 0) {
			problems.add(fmt.Sprintf("command[%d]", i), "there is a zero byte in it: remove it")
		}
	}
	if program := m.Command[0]; !filepath.IsAbs(program) && strings.Contains(program, "/") && !m.ownProgram() {
		problems.add("command[0]", fmt.Sprintf("%q is neither in the plugin's directory nor a name: write ./run, python3 or /usr/bin/python3", program))
	}
}

// ownProgram reports whether the program is the plugin's own.
func (m *Manifest) ownProgram() bool {
	program := m.Command[0]
	return strings.HasPrefix(program, "./") && filepath.IsLocal(program)
}

// refusedVariable says why a program must not get a variable, or nothing.
func refusedVariable(name string) string {
	switch upper := strings.ToUpper(name); {
	case !variablePattern.MatchString(name):
		return fmt.Sprintf("%q is no variable's name: write it without its value", name)
	case strings.HasPrefix(upper, "BBMD") || strings.HasPrefix(upper, "PG") ||
		strings.Contains(upper, "DATABASE_URL") || strings.Contains(upper, "DSN"):
		return name + " may hold the way to a database, which a plugin does not get: let it run its SQL through the batch"
	case strings.HasPrefix(upper, "LD_") || strings.HasPrefix(upper, "DYLD_"):
		return name + " changes which program runs: remove it"
	default:
		return ""
	}
}

func (w *WorkSpec) validate(at string, problems *problems) {
	if !namePattern.MatchString(w.Name) {
		problems.add(at+".name", fmt.Sprintf("%q %s", w.Name, nameRule))
	}
	if w.Version < 0 {
		problems.add(at+".version", fmt.Sprintf("%d is negative: start at 1", w.Version))
	}
	for i, a := range w.Arguments {
		key := fmt.Sprintf("%s.arguments[%d]", at, i)
		a.validate(key, problems)
		if slices.ContainsFunc(w.Arguments[:i], func(b Argument) bool { return b.Name == a.Name }) {
			problems.add(key+".name", fmt.Sprintf("%q is there twice: choose another", a.Name))
		}
	}
}

func (a Argument) validate(at string, problems *problems) {
	if !namePattern.MatchString(a.Name) {
		problems.add(at+".name", fmt.Sprintf("%q %s", a.Name, nameRule))
	}
	t := argumentType(a.Type)
	switch {
	case t == nil:
		problems.add(at+".type", fmt.Sprintf("%q is none: write string, integer, number, boolean or strings", a.Type))
	case a.Default == nil:
	case a.Required:
		problems.add(at+".default", "an argument that is required has no default: remove one of both")
	case string(a.Default) == "null" || json.Unmarshal(a.Default, reflect.New(t).Interface()) != nil:
		problems.add(at+".default", fmt.Sprintf("%s is not of type %s: change one of both", a.Default, a.Type))
	}
}
