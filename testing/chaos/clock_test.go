package chaos_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// A daemon measures its own time by the monotonic clock, which every time.Now carries and nobody sets. A time that has
// gone through a number has lost it: there are few such places, and none decides about work.
var wallClocks = map[string]string{
	"internal/await/explain.go":   "a key that tells one failure from the next",
	"internal/dashboard/token.go": "the end of a person's session",
	"notify/state.go":             "when the last notification came, for people",
	"notify/session.go":           "a deadline that is long over",
	"plugins/process/child.go":    "a deadline that is long over",
}

func TestNoWallClockDecides(t *testing.T) {
	t.Parallel()
	const root = "../.."
	found := map[string]bool{}
	for _, dir := range []string{"daemon", "internal/executor", "internal/control", "internal/throttle", "internal/await", "internal/dashboard", "internal/dial", "internal/health", "notify", "plugins"} {
		require.NoError(t, filepath.WalkDir(filepath.Join(root, dir), func(path string, _ fs.DirEntry, err error) error {
			if err != nil || filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go") || strings.Contains(path, "testdata") {
				return err
			}
			file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
			if err != nil {
				return err
			}
			name, err := filepath.Rel(root, path)
			ast.Inspect(file, func(n ast.Node) bool {
				if call, ok := n.(*ast.CallExpr); ok && losesTheMonotonicClock(call) {
					found[filepath.ToSlash(name)] = true
				}
				return true
			})
			return err
		}))
	}
	for path := range found {
		require.Contains(t, wallClocks, path, "it turns a time into a number, or one into a time: measure with time.Since, or say here why a clock that is set does no harm")
	}
}

// losesTheMonotonicClock is true of calls of Unix and its like, and of Round(0).
func losesTheMonotonicClock(call *ast.CallExpr) bool {
	selector, ok := call.Fun.(*ast.SelectorExpr)
	if !ok {
		return false
	}
	if selector.Sel.Name == "Round" && len(call.Args) == 1 {
		literal, ok := call.Args[0].(*ast.BasicLit)
		return ok && literal.Value == "0"
	}
	return slices.Contains([]string{"Unix", "UnixNano", "UnixMilli", "UnixMicro"}, selector.Sel.Name)
}
