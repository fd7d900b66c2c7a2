package history

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"unicode/utf8"
)

// directivePrefix begins an instruction to bbmd in a comment.
const directivePrefix = "bbmd:"

// longestName is how long the name of a background migration may be.
const longestName = 200

// fault is something wrong at a place in a file. Line counts from 1.
type fault struct {
	file   string
	line   int
	reason string
}

func (f *fault) Error() string { return fmt.Sprintf("%s:%d: %s", f.file, f.line, f.reason) }

func faultf(file string, line int, format string, args ...any) error {
	return &fault{file: file, line: line, reason: fmt.Sprintf(format, args...)}
}

// comment is one line of a comment, without its mark.
type comment struct {
	line   int
	text   string
	header bool // it stands before anything that is not a comment
}

// requirements returns the background migrations that a file waits for. A
// directive that is misspelt, or stands where nobody looks for it, is an error:
// the migration would run too early.
func requirements(file string, comments []comment) ([]string, error) {
	var names []string
	for _, c := range comments {
		directive, ours := strings.CutPrefix(strings.TrimSpace(c.text), directivePrefix)
		if !ours {
			continue
		}
		if !c.header {
			return nil, faultf(file, c.line, "bbmd:%s stands below the header, where it is not looked for: move it above everything that is not a comment", firstWord(directive))
		}
		rest, ok := strings.CutPrefix(directive+" ", "require finished ")
		name := strings.TrimSpace(rest)
		if !ok || name == "" || utf8.RuneCountInString(name) > longestName {
			return nil, faultf(file, c.line, "bbmd:%s is not understood: write bbmd:require finished NAME, with the name of a background migration", strings.TrimSpace(directive))
		}
		names = append(names, name)
	}
	return names, nil
}

func firstWord(s string) string {
	word, _, _ := strings.Cut(strings.TrimSpace(s), " ")
	return word
}

// lineComments returns the lines of a file that are comments with this mark.
// The header ends at the first line that is neither blank nor a comment;
// comments between /* and */ belong to it where the mark is SQL's or Go's.
func lineComments(source, mark string) []comment {
	var comments []comment
	header, inBlock := true, false
	number := 0
	for line := range strings.Lines(source) {
		number++
		trimmed := strings.TrimSpace(strings.TrimPrefix(line, "\ufeff"))
		switch {
		case inBlock:
			_, after, closed := strings.Cut(trimmed, "*/")
			inBlock = !closed
			header = header && (inBlock || strings.TrimSpace(after) == "")
		case strings.HasPrefix(trimmed, mark):
			comments = append(comments, comment{line: number, text: strings.TrimPrefix(trimmed, mark), header: header})
		case header && strings.HasPrefix(trimmed, "/*"):
			_, after, closed := strings.Cut(trimmed[2:], "*/")
			inBlock = !closed
			header = inBlock || strings.TrimSpace(after) == ""
		case trimmed != "":
			header = false
		}
	}
	return comments
}

// checksum is the SHA-256 of a file's bytes, in hexadecimal.
func checksum(content []byte) string {
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:])
}
