package logging_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// logged is what the source says that is logged.
type logged struct {
	keys     map[string][]string // the places where a key is used
	messages map[string][]string
	texts    map[string]bool // every text in the source
}

// Where a method takes its message and its first key.
func arguments(call *ast.CallExpr) (message, first int, ok bool) {
	method, isMethod := call.Fun.(*ast.SelectorExpr)
	if !isMethod {
		return 0, 0, false
	}
	switch name := method.Sel.Name; name {
	case "DebugContext", "InfoContext", "WarnContext", "ErrorContext":
		return 1, 2, len(call.Args) >= 2
	case "Debug", "Info", "Warn", "Error":
		return 0, 1, isLogger(method.X) && len(call.Args) >= 1
	case "Log":
		return 2, 3, isLogger(method.X) && len(call.Args) >= 3
	case "With":
		return -1, 0, isLogger(method.X)
	default:
		return 0, 0, false
	}
}

// isLogger reports whether an expression looks like a *slog.Logger.
func isLogger(x ast.Expr) bool {
	switch x := x.(type) {
	case *ast.Ident:
		return isLoggerName(x.Name)
	case *ast.SelectorExpr:
		return isLoggerName(x.Sel.Name)
	case *ast.CallExpr: // logger().Info, log.With(…).Info
		method, ok := x.Fun.(*ast.SelectorExpr)
		return ok && (isLoggerName(method.Sel.Name) || method.Sel.Name == "With" && isLogger(method.X))
	default:
		return false
	}
}

func isLoggerName(name string) bool {
	return slices.Contains([]string{"log", "logger", "told"}, strings.ToLower(name))
}

// attributes are the functions that make an attribute with a key.
var attributes = []string{"String", "Int", "Int64", "Uint64", "Float64", "Bool", "Time", "Duration", "Any", "Group"}

func literal(x ast.Expr) (string, bool) {
	basic, ok := x.(*ast.BasicLit)
	if !ok || basic.Kind != token.STRING {
		return "", false
	}
	text, err := strconv.Unquote(basic.Value)
	return text, err == nil
}

// record notes what one call logs.
func (l *logged) record(t *testing.T, where string, call *ast.CallExpr) {
	t.Helper()
	if f, ok := call.Fun.(*ast.SelectorExpr); ok {
		if pkg, ok := f.X.(*ast.Ident); ok && pkg.Name == "slog" && slices.Contains(attributes, f.Sel.Name) {
			if key, ok := literal(call.Args[0]); ok {
				l.keys[key] = append(l.keys[key], where)
			}
			return
		}
	}
	message, first, ok := arguments(call)
	if !ok {
		return
	}
	if message >= 0 {
		if text, ok := literal(call.Args[message]); ok {
			l.messages[text] = append(l.messages[text], where)
		}
	}
	for i := first; i < len(call.Args); i += 2 {
		if inner, isCall := call.Args[i].(*ast.CallExpr); isCall { // slog.Any(…), which is one argument
			require.NotNil(t, inner)
			i--
			continue
		}
		key, ok := literal(call.Args[i])
		require.True(t, ok, "%s: a key that is not written out cannot be looked up", where)
		l.keys[key] = append(l.keys[key], where)
	}
}

// source reads what the program logs.
func source(t *testing.T) logged {
	t.Helper()
	l := logged{keys: map[string][]string{}, messages: map[string][]string{}, texts: map[string]bool{}}
	root := filepath.Join("..", "..")
	files := token.NewFileSet()
	for _, dir := range []string{"cmd", "daemon", "internal", "migrations", "notify", "plugins", "registry"} {
		err := filepath.WalkDir(filepath.Join(root, dir), func(path string, _ fs.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") || strings.Contains(path, "testdata") {
				return err
			}
			file, err := parser.ParseFile(files, path, nil, parser.SkipObjectResolution)
			if err != nil {
				return err
			}
			ast.Inspect(file, func(n ast.Node) bool {
				switch n := n.(type) {
				case *ast.CallExpr:
					l.record(t, files.Position(n.Pos()).String(), n)
				case *ast.BasicLit:
					if text, ok := literal(n); ok {
						l.texts[text] = true
					}
				}
				return true
			})
			return nil
		})
		require.NoError(t, err)
	}
	return l
}

// TestEveryKeyAndMessageIsDocumented holds docs/logs.md against the source, both ways.
func TestEveryKeyAndMessageIsDocumented(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "logs.md"))
	require.NoError(t, err)
	all := source(t)
	require.Greater(t, len(all.keys), 20, "the source was not understood")
	require.Greater(t, len(all.messages), 40, "the source was not understood")

	keys, messages := map[string]bool{}, map[string]bool{}
	for _, match := range regexp.MustCompile("(?m)^\\| `([a-z0-9_]+)` \\|").FindAllStringSubmatch(string(page), -1) {
		require.False(t, keys[match[1]], "the key %s is there twice", match[1])
		keys[match[1]] = true
	}
	for _, match := range regexp.MustCompile("(?m)^\\| (?:debug|info|warn|error)[a-z, ]* \\| `([^`]+)` \\|").FindAllStringSubmatch(string(page), -1) {
		messages[match[1]] = true
	}
	for key, where := range all.keys {
		require.Regexp(t, "^[a-z][a-z0-9_]*$", key)
		require.True(t, keys[key], "docs/logs.md does not have the key %q: add it, or use the key that this already has: %s", key, where)
	}
	for message, where := range all.messages {
		require.True(t, messages[message], "docs/logs.md does not have the message %q: add a row for it: %s", message, where)
	}
	for key := range keys {
		require.Contains(t, all.keys, key, "docs/logs.md has a key that nothing logs")
	}
	for message := range messages {
		require.True(t, all.texts[message], "docs/logs.md has a message that nothing logs: %s", message)
	}
}
