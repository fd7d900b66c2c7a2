package config

import (
	"encoding/json"
	"strings"
)

// The way out of a value that is no list, by what it should be.
const (
	commandHint  = "write a list, such as [alembic, upgrade, heads]"
	modelsHint   = "write a path, or {command: [python, -m, app.models]}"
	profilesHint = "write lists of databases, such as {minimal: [auth, billing]}"
)

// parseCommand accepts a list of words, a text that is a JSON list, and a text
// of words that a shell would read in the same way.
func parseCommand(raw any, shown string) (Command, error) {
	switch value := raw.(type) {
	case Command:
		return value, nil
	case string:
		if isJSONList(value) {
			return parseCommandJSON(value, shown)
		}
		if strings.ContainsAny(value, "'\"\\$`|&;<>(){}[]*?~#!\n") {
			return "", refuse("it has characters that only a shell understands", commandHint)
		}
		return NewCommand(strings.Fields(value)...), nil
	default:
		args, err := parseList(raw, commandHint)
		if err == nil && len(args) > 0 && strings.TrimSpace(args[0]) == "" {
			err = refuse("its first word, the program, is empty", commandHint)
		}
		return NewCommand(args...), err
	}
}

func isJSONList(text string) bool { return strings.HasPrefix(strings.TrimSpace(text), "[") }

func parseCommandJSON(text, shown string) (Command, error) {
	var list []any
	if err := json.Unmarshal([]byte(text), &list); err != nil {
		return "", refuse(shown+" is not a JSON list", commandHint)
	}
	return parseCommand(list, shown)
}

// parseModels accepts a path, and a command: as a list, or below the key command.
func parseModels(raw any, shown string) (Models, error) {
	switch value := raw.(type) {
	case Models:
		return value, nil
	case string:
		if !isJSONList(value) {
			return Models(value), nil
		}
	case map[string]any:
		if _, ok := value["command"]; !ok || len(value) != 1 {
			return "", refuse("it holds other keys than command", modelsHint)
		}
		raw = value["command"]
	case []any:
	default:
		text, err := parseString(raw)
		return Models(text), err
	}
	command, err := parseCommand(raw, shown)
	return Models(string(command)), err
}

// parseProfiles accepts a mapping of lists, and a text that is one in JSON.
func parseProfiles(raw any, shown string) (Profiles, error) {
	switch value := raw.(type) {
	case Profiles:
		return value, nil
	case string:
		if strings.TrimSpace(value) == "" {
			return "", nil
		}
		var object map[string]any
		if err := json.Unmarshal([]byte(value), &object); err != nil {
			return "", refuse(shown+" is not a JSON object", profilesHint)
		}
		raw = object
	}
	object, ok := raw.(map[string]any)
	if !ok {
		return "", refuse(shown+" is not a mapping", profilesHint)
	}
	profiles := map[string][]string{}
	for name, list := range object {
		databases, err := parseList(list, profilesHint)
		if err != nil {
			return "", err
		}
		profiles[name] = databases
	}
	return NewProfiles(profiles), nil
}

// parseList accepts a list of scalars.
func parseList(raw any, hint string) ([]string, error) {
	list, ok := raw.([]any)
	if !ok {
		return nil, refuse("something stands where a list belongs", hint)
	}
	words := make([]string, len(list))
	for i, element := range list {
		word, err := parseString(element)
		if err != nil {
			return nil, refuse("an element of the list is not text", hint)
		}
		words[i] = word
	}
	return words, nil
}

// parseToken accepts every scalar; what means false asks for nothing.
func parseToken(raw any) (Token, error) {
	text, err := parseString(raw)
	if err != nil {
		return "", err
	}
	switch word := strings.ToLower(strings.TrimSpace(text)); word {
	case "true", "yes", "on":
		return TokenTrue, nil
	case "false", "no", "off", "0":
		return "", nil
	default:
		return Token(strings.TrimSpace(text)), nil
	}
}
