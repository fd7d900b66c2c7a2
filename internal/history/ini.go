package history

import (
	"regexp"
	"strings"
)

// iniFile is a file as Python's ConfigParser reads it, before interpolation.
type iniFile struct {
	path     string
	sections map[string]map[string]iniValue // options in small letters
}

type iniValue struct {
	text string
	line int
}

// iniDefaults is the section whose options every other has.
const iniDefaults = "DEFAULT"

var (
	iniSection = regexp.MustCompile(`^\[([^\]]+)\]`)
	iniOption  = regexp.MustCompile(`^(.*?)\s*[=:]\s*(.*)$`)
)

// parseINI reads what ConfigParser reads with its default settings: comments
// on lines of their own, values that go on in lines that are indented deeper,
// nothing declared twice.
func parseINI(path, text string) (iniFile, error) {
	p := iniParser{file: iniFile{path: path, sections: map[string]map[string]iniValue{}}}
	text = strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(strings.TrimPrefix(text, "\ufeff"))
	for i, line := range strings.Split(text, "\n") {
		if err := p.line(i+1, line); err != nil {
			return iniFile{}, err
		}
	}
	p.finish()
	return p.file, nil
}

type iniParser struct {
	file    iniFile
	section string // empty: before the first
	option  string // whose value may go on
	value   []string
	at      int // line of the option
	indent  int // of the option
}

func (p *iniParser) line(number int, line string) error {
	trimmed := strings.TrimSpace(line)
	if strings.HasPrefix(trimmed, "#") || strings.HasPrefix(trimmed, ";") {
		return nil
	}
	if trimmed == "" {
		if p.option != "" {
			p.value = append(p.value, "")
		}
		return nil
	}
	indent := len(line) - len(strings.TrimLeft(line, " \t\f\v"))
	if p.option != "" && indent > p.indent {
		p.value = append(p.value, trimmed)
		return nil
	}
	p.finish()
	if m := iniSection.FindStringSubmatch(trimmed); m != nil {
		return p.begin(number, m[1])
	}
	if p.section == "" {
		return faultf(p.file.path, number, "an option stands before the first [section]")
	}
	m := iniOption.FindStringSubmatch(trimmed)
	if m == nil || m[1] == "" {
		return faultf(p.file.path, number, "it is neither a [section] nor an option = value")
	}
	p.option, p.value, p.at, p.indent = strings.ToLower(m[1]), []string{m[2]}, number, indent
	if _, twice := p.file.sections[p.section][p.option]; twice {
		return faultf(p.file.path, number, "option %s is set twice in [%s]", p.option, p.section)
	}
	return nil
}

func (p *iniParser) begin(number int, name string) error {
	if _, twice := p.file.sections[name]; twice && name != iniDefaults {
		return faultf(p.file.path, number, "section [%s] is there twice", name)
	}
	if p.file.sections[name] == nil {
		p.file.sections[name] = map[string]iniValue{}
	}
	p.section = name
	return nil
}

// finish keeps the option whose value has ended.
func (p *iniParser) finish() {
	if p.option != "" {
		text := strings.TrimRight(strings.Join(p.value, "\n"), " \t\n\f\v")
		p.file.sections[p.section][p.option] = iniValue{text: text, line: p.at}
	}
	p.option = ""
}

// has reports whether a section is there.
func (f iniFile) has(section string) bool {
	_, ok := f.sections[section]
	return ok && section != iniDefaults
}

// get returns an option's value with %(name)s replaced: by other options of
// the section, by those of [DEFAULT], and by what the caller gives.
func (f iniFile) get(section, option string, given map[string]string) (string, bool, error) {
	value, ok := f.lookup(section, option)
	if !ok {
		return "", false, nil
	}
	text, err := f.interpolate(section, value, given, 0)
	return text, true, err
}

func (f iniFile) lookup(section, option string) (iniValue, bool) {
	for _, s := range []string{section, iniDefaults} {
		if v, ok := f.sections[s][option]; ok {
			return v, true
		}
	}
	return iniValue{}, false
}

// deepest is how far options may refer to each other, as in Python.
const deepest = 10

func (f iniFile) interpolate(section string, value iniValue, given map[string]string, depth int) (string, error) {
	if depth > deepest {
		return "", faultf(f.path, value.line, "the value refers to itself")
	}
	var b strings.Builder
	rest := value.text
	for {
		before, after, found := strings.Cut(rest, "%")
		b.WriteString(before)
		switch {
		case !found:
			return b.String(), nil
		case strings.HasPrefix(after, "%"):
			b.WriteByte('%')
			rest = after[1:]
			continue
		}
		name, behind, closed := strings.Cut(strings.TrimPrefix(after, "("), ")s")
		if !strings.HasPrefix(after, "(") || !closed {
			return "", faultf(f.path, value.line, "a %% is neither %%%% nor the beginning of %%(name)s")
		}
		text, err := f.reference(section, strings.ToLower(name), value.line, given, depth)
		if err != nil {
			return "", err
		}
		b.WriteString(text)
		rest = behind
	}
}

func (f iniFile) reference(section, name string, line int, given map[string]string, depth int) (string, error) {
	if v, ok := f.lookup(section, name); ok {
		return f.interpolate(section, v, given, depth+1)
	}
	if text, ok := given[name]; ok {
		return text, nil
	}
	return "", faultf(f.path, line, "%%(%s)s refers to an option that is not there", name)
}
