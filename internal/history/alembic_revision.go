package history

import (
	"path/filepath"
	"regexp"
	"strings"
)

// revision is one file of Alembic's, as it is written.
type revision struct {
	Step
	down, labels, deps []string
}

// legacyRevision is the name of a file that is its own revision, from
// before Alembic 0.2.
var legacyRevision = regexp.MustCompile(`^([a-f0-9]+)\.py$`)

// parseRevision reads a revision file.
func parseRevision(file string, content []byte) (revision, error) {
	text, err := decodePython(file, content)
	if err != nil {
		return revision{}, err
	}
	src, err := lexPython(file, text)
	if err != nil {
		return revision{}, err
	}
	values, err := assignments(file, src)
	if err != nil {
		return revision{}, err
	}
	r := revision{Step: Step{Name: docTitle(src), File: file, Checksum: checksum(content), Transactional: !autocommits(src)}}
	if err := refuseQuoted(file, src); err != nil {
		return revision{}, err
	}
	if r.Requires, err = requirements(file, headed(src)); err != nil {
		return revision{}, err
	}
	if r.Version, err = identifier(file, values); err != nil {
		return revision{}, err
	}
	if _, ok := values["down_revision"]; !ok {
		return revision{}, faultf(file, 1, "it sets no down_revision: Alembic wants one, None for the first revision")
	}
	r.down, r.labels, r.deps = values["down_revision"].texts, values["branch_labels"].texts, values["depends_on"].texts
	return r, nil
}

// identifier is what the file calls itself, or the file's name where it says
// nothing, as Alembic has it.
func identifier(file string, values map[string]pyValue) (string, error) {
	v, ok := values["revision"]
	if !ok {
		if m := legacyRevision.FindStringSubmatch(filepath.Base(file)); m != nil {
			return m[1], nil
		}
		return "", faultf(file, 1, "it sets no revision, and Alembic refuses such a file among the revisions: move it away")
	}
	if v.isNone || v.isList || v.texts[0] == "" {
		return "", faultf(file, v.line, "revision has to be one string")
	}
	id := v.texts[0]
	if i := strings.IndexAny(id, "@-+"); i >= 0 {
		return "", faultf(file, v.line, "revision %q has a %q in it, which Alembic refuses", id, id[i:i+1])
	}
	return id, nil
}

// docTitle is the first paragraph of the module's docstring, on one line.
func docTitle(src pySource) string {
	if len(src.lines) == 0 {
		return ""
	}
	var doc strings.Builder
	for _, t := range src.lines[0].tokens {
		value, ok := decodeString(t)
		if t.kind != pyString || !ok {
			return ""
		}
		doc.WriteString(value)
	}
	title, _, _ := strings.Cut(strings.TrimSpace(doc.String()), "\n\n")
	return strings.Join(strings.Fields(title), " ")
}

// autocommits reports whether anything in the file runs outside of Alembic's
// transaction.
func autocommits(src pySource) bool {
	for _, line := range src.lines {
		for _, t := range line.tokens {
			if t.word("autocommit_block") {
				return true
			}
		}
	}
	return false
}

// refuseQuoted refuses a directive in a string, the docstring most likely.
func refuseQuoted(file string, src pySource) error {
	for _, line := range src.lines {
		for _, t := range line.tokens {
			if t.kind != pyString || !strings.Contains(t.text, directivePrefix) {
				continue
			}
			for quoted := range strings.Lines(t.text) {
				mark, found := strings.CutPrefix(strings.TrimSpace(quoted), "#")
				if found && strings.HasPrefix(strings.TrimSpace(mark), directivePrefix) {
					return faultf(file, t.line, "the string that begins here has a line # bbmd:, which is not looked for in strings: make it a comment")
				}
			}
		}
	}
	return nil
}

// headed marks the comments that stand before the first function or class.
func headed(src pySource) []comment {
	firstScope := 0
	for _, line := range src.lines {
		if first := line.tokens[0]; opensScope(first) || first.is("@") {
			firstScope = first.line
			break
		}
	}
	for i, c := range src.comments {
		src.comments[i].header = firstScope == 0 || c.line < firstScope
	}
	return src.comments
}
