package history

// GraphFiles is a history of Alembic's from revisions that are in no file, and
// its heads without regard to depends_on.
func GraphFiles(revisions []GraphRevision) (f Files, heads []string, err error) {
	var all []revision
	for _, r := range revisions {
		all = append(all, revision{Step: Step{Version: r.ID, File: r.ID + ".py"}, down: r.Down, deps: r.Deps, labels: r.Labels})
	}
	g, err := newGraph(all)
	if err != nil {
		return nil, nil, err
	}
	return &alembicFiles{graph: g}, g.heads, nil
}

// GraphRevision is one of them.
type GraphRevision struct {
	ID                 string
	Down, Deps, Labels []string
}

// AlembicHeads are the heads of a history without regard to depends_on.
func AlembicHeads(f Files) []string {
	if a, ok := f.(*alembicFiles); ok {
		return a.graph.heads
	}
	return nil
}

// PythonValues are what a Python file gives to Alembic's names: nil, a string
// or strings; and the title of its docstring.
func PythonValues(file string, content []byte) (values map[string]any, title string, err error) {
	text, err := decodePython(file, content)
	if err != nil {
		return nil, "", err
	}
	src, err := lexPython(file, text)
	if err != nil {
		return nil, "", err
	}
	assigned, err := assignments(file, src)
	if err != nil {
		return nil, "", err
	}
	values = map[string]any{}
	for name, v := range assigned {
		switch {
		case v.isNone:
			values[name] = nil
		case v.isList:
			values[name] = append([]string{}, v.texts...)
		default:
			values[name] = v.texts[0]
		}
	}
	return values, docTitle(src), nil
}

// ParseRevision reads a revision file.
func ParseRevision(file string, content []byte) (Step, error) {
	r, err := parseRevision(file, content)
	return r.Step, err
}

// ParseGooseSQL reports whether a file of goose's runs in a transaction.
func ParseGooseSQL(file, source string) (bool, error) { return parseGooseSQL(file, source) }

// INIOption reads an option, with the directory /here.
func INIOption(text, section, option string) (value string, ok bool, err error) {
	f, err := parseINI("x.ini", text)
	if err != nil {
		return "", false, err
	}
	return f.get(section, option, map[string]string{"here": "/here"})
}

// INISections are the sections of a file.
func INISections(text string) (map[string]map[string]string, error) {
	f, err := parseINI("x.ini", text)
	sections := map[string]map[string]string{}
	for name, options := range f.sections {
		sections[name] = map[string]string{}
		for option, v := range options {
			sections[name][option] = v.text
		}
	}
	return sections, err
}

// Requirements are those of a file with this mark for comments.
func Requirements(source, mark string) ([]string, error) {
	return requirements("file", lineComments(source, mark))
}
