package history

import (
	"os"
	"path/filepath"
	"regexp"
)

// ownTable is how an env.py says where the version table is, as a keyword of context.configure or in a
// dictionary of such; usualTable is how it says what Alembic does anyway.
var (
	ownTable   = regexp.MustCompile(`(?m)^[^#\n]*\bversion_table(?:_schema)?\s*=[^=]|^(?:[^#\n]*[{,])?\s*["']version_table(?:_schema)?["']\s*:`)
	usualTable = regexp.MustCompile(`\bversion_table\s*=\s*["']alembic_version["']|\bversion_table_schema\s*=\s*(?:None\b|["']public["'])`)
)

// namesTable reports whether the env.py of a script location names a version table. What it is called only Python could
// tell. Without such a file nothing does.
func namesTable(scripts string) bool {
	content, err := os.ReadFile(filepath.Join(scripts, "env.py"))
	return err == nil && ownTable.Match(usualTable.ReplaceAll(content, nil))
}
