package history

import "slices"

// moduleNames are what Alembic reads of a revision's module.
func moduleNames() []string {
	return []string{"revision", "down_revision", "branch_labels", "depends_on"}
}

// assignments returns the values that a module gives to Alembic's names, the
// last of each. It follows the module's own statements alone: what a function
// or a class sets is its own. Whatever else may set one of the names is an
// error, with file and line.
func assignments(file string, src pySource) (map[string]pyValue, error) {
	values := map[string]pyValue{}
	skipDeeper := -1
	for _, line := range src.lines {
		if skipDeeper >= 0 && line.indent > skipDeeper {
			continue
		}
		skipDeeper = -1
		if opensScope(line.tokens[0]) {
			skipDeeper = line.indent
			continue
		}
		nested := line.indent > 0 || isCompound(line.tokens)
		for _, statement := range statements(line.tokens) {
			if err := assign(file, statement, nested, values); err != nil {
				return nil, err
			}
		}
	}
	return values, nil
}

func opensScope(t pyToken) bool {
	return t.word("def") || t.word("class") || t.word("async")
}

// isCompound reports whether the line begins a block, which may stand on it.
func isCompound(tokens []pyToken) bool {
	keywords := []string{"if", "elif", "else", "for", "while", "try", "except", "finally", "with", "match", "case"}
	assigned := len(tokens) > 1 && tokens[1].is("=") // match = … is no block
	return tokens[0].kind == pyName && slices.Contains(keywords, tokens[0].text) && !assigned
}

// statements cuts a line at its semicolons.
func statements(tokens []pyToken) [][]pyToken {
	var all [][]pyToken
	from := 0
	for i, t := range tokens {
		if t.is(";") && t.depth == 0 {
			all = append(all, tokens[from:i])
			from = i + 1
		}
	}
	return append(all, tokens[from:])
}

// assign takes one statement: NAME = literal, or NAME: annotation = literal.
func assign(file string, s []pyToken, nested bool, values map[string]pyValue) error {
	if len(s) == 0 {
		return nil
	}
	name, isName := s[0].name()
	equals := slices.IndexFunc(s, func(t pyToken) bool { return t.is("=") && t.depth == 0 })
	simple := len(s) > 1 && (equals == 1 || s[1].is(":") && s[1].depth == 0)
	if !isName || !slices.Contains(moduleNames(), name) || !simple || nested {
		return refuseBinding(file, s)
	}
	if equals < 0 {
		return nil // an annotation alone sets nothing
	}
	value, bad := pyLiteral(s[equals+1:])
	if bad != nil {
		line := max(s[0].line, bad.line)
		return faultf(file, line, "the value of %s is not None, a string, or a tuple or list of strings, and so cannot be read without running Python: write it out", name)
	}
	values[name] = value
	return nil
}

// refuseBinding refuses a statement that may set one of the names in a way
// that is not followed here.
func refuseBinding(file string, s []pyToken) error {
	lastEquals := -1
	for i, t := range s {
		if t.is("=") && t.depth == 0 {
			lastEquals = i
		}
	}
	imports := s[0].word("import") || s[0].word("from")
	for i, t := range s {
		if t.kind != pyName || !slices.Contains(moduleNames(), t.text) {
			continue
		}
		before, after := neighbour(s, i-1), neighbour(s, i+1)
		bound := i < lastEquals && isTarget(before, after) ||
			imports && !after.word("as") && !before.is(".") ||
			before.word("for") || before.word("as") || before.word("del") ||
			after.kind == pyOp && len(after.text) > 1 && after.text[len(after.text)-1] == '=' && !isComparison(after.text)
		if bound {
			return faultf(file, t.line, "%s is set here in a way that cannot be read without running Python: set it once, as %s = \"…\", outside of any block", t.text, t.text)
		}
	}
	return nil
}

// isTarget reports whether a name between these tokens is assigned to, and
// not a part of what is.
func isTarget(before, after pyToken) bool {
	starts := before.text == "" || before.is(",") || before.is("(") || before.is("[") || before.is("*") || before.is("=") || before.is(":")
	ends := after.is("=") || after.is(",") || after.is(")") || after.is("]") || after.is(":")
	return starts && ends
}

func isComparison(op string) bool { return op == "==" || op == "!=" || op == "<=" || op == ">=" }

func neighbour(s []pyToken, i int) pyToken {
	if i < 0 || i >= len(s) {
		return pyToken{kind: pyOp}
	}
	return s[i]
}
