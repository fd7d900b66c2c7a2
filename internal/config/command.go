package config

import (
	"encoding/json"
	"log/slog"
	"maps"
	"slices"
	"strings"
)

// Command is a program and its arguments, as a JSON list. Empty is none.
// However it is printed or logged, passwords of connection strings in it are
// masked.
type Command string

// NewCommand returns the command of a program and its arguments.
func NewCommand(args ...string) Command {
	if len(args) == 0 {
		return ""
	}
	return Command(jsonText(args))
}

// Args returns the program and its arguments, nil for none.
func (c Command) Args() []string {
	var args []string
	if c == "" || json.Unmarshal([]byte(c), &args) != nil {
		return nil
	}
	return args
}

// String returns the list as JSON, secrets masked.
func (c Command) String() string { return redactCommand(string(c)) }

// LogValue returns what String returns.
func (c Command) LogValue() slog.Value { return slog.StringValue(c.String()) }

// Models is where a declared schema comes from: the path of a file or of a
// directory, or a [Command]. Empty is none.
type Models string

// Path returns the path, empty where there is none or it is a command.
func (m Models) Path() string {
	if m.isCommand() {
		return ""
	}
	return string(m)
}

// Command returns the program that prints the schema and its arguments, nil
// where it is none or a path.
func (m Models) Command() []string {
	if !m.isCommand() {
		return nil
	}
	return Command(m).Args()
}

// String returns the path, or the command as JSON, secrets masked.
func (m Models) String() string { return redactCommand(string(m)) }

// LogValue returns what String returns.
func (m Models) LogValue() slog.Value { return slog.StringValue(m.String()) }

func (m Models) isCommand() bool { return strings.HasPrefix(string(m), "[") }

// redactCommand masks secrets in each word, so that a quote of JSON hides none.
func redactCommand(text string) string {
	args := Command(text).Args()
	if args == nil {
		return Redact(text)
	}
	for i := range args {
		args[i] = Redact(args[i])
	}
	return jsonText(args)
}

// Profiles are lists of databases by name, as a JSON object. Empty is none.
type Profiles string

// NewProfiles returns the profiles of a map.
func NewProfiles(profiles map[string][]string) Profiles {
	if len(profiles) == 0 {
		return ""
	}
	return Profiles(jsonText(profiles))
}

// Databases returns the databases of a profile, and whether there is one of
// that name.
func (p Profiles) Databases(name string) ([]string, bool) {
	databases, ok := p.all()[name]
	return databases, ok
}

// Names returns the names of the profiles, sorted.
func (p Profiles) Names() []string { return slices.Sorted(maps.Keys(p.all())) }

func (p Profiles) all() map[string][]string {
	var all map[string][]string
	if p == "" || json.Unmarshal([]byte(p), &all) != nil {
		return nil
	}
	return all
}

// Token asks for something once: what has been done for a token is not done
// again for the same one. Empty asks for nothing.
type Token string

// TokenTrue is the token of a plain switch. It is new again after the switch
// was off.
const TokenTrue Token = "true"

// jsonText encodes what cannot fail to encode.
func jsonText(value any) string {
	text, err := json.Marshal(value)
	if err != nil {
		panic("config: " + err.Error()) // lists and maps of text encode
	}
	return string(text)
}
