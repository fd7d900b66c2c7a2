package tree_test

import (
	"bytes"
	"go/ast"
	"go/build"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const (
	longestFile   = 400
	longestReadme = 150
)

func TestEveryPackageHasOneDocInDocGo(t *testing.T) {
	t.Parallel()
	packages := map[string][]string{}
	for _, file := range goFiles(t) {
		// A file behind a build tag that nobody sets makes no package.
		built, err := build.Default.MatchFile(path.Join(root, path.Dir(file)), path.Base(file))
		require.NoError(t, err)
		if built && !strings.HasSuffix(file, "_test.go") {
			packages[path.Dir(file)] = append(packages[path.Dir(file)], file)
		}
	}
	require.NotEmpty(t, packages)
	for dir, files := range packages {
		if !slices.Contains(files, path.Join(dir, "doc.go")) {
			t.Errorf("%s has no doc.go: say there what the package is, what it guarantees and what it refuses", dir)
		}
		for _, file := range files {
			checkDoc(t, file)
		}
	}
}

// checkDoc wants a package doc in doc.go and nowhere else.
func checkDoc(t *testing.T, file string) {
	t.Helper()
	parsed, err := parser.ParseFile(token.NewFileSet(), path.Join(root, file), nil, parser.PackageClauseOnly|parser.ParseComments)
	require.NoError(t, err)
	if path.Base(file) != "doc.go" {
		if parsed.Doc != nil {
			t.Errorf("%s has a package doc: it belongs into doc.go, or an empty line between the comment and the package clause", file)
		}
		return
	}
	if want := docStart(file, parsed); !strings.HasPrefix(parsed.Doc.Text(), want) {
		t.Errorf("%s does not begin with %q", file, want)
	}
}

func docStart(file string, parsed *ast.File) string {
	if parsed.Name.Name == "main" {
		return "Command " + path.Base(path.Dir(file)) + " "
	}
	return "Package " + parsed.Name.Name + " "
}

func TestNoFileIsLong(t *testing.T) {
	t.Parallel()
	for _, file := range goFiles(t) {
		if lines := countLines(t, file); lines > longestFile {
			t.Errorf("%s has %d lines, more than %d: split it by what its parts are about", file, lines, longestFile)
		}
	}
}

func TestReadmeIsShort(t *testing.T) {
	t.Parallel()
	require.Less(t, countLines(t, "README.md"), longestReadme, "move what a newcomer does not need first to docs/")
}

func TestPackagesAreNamedForWhatTheyAre(t *testing.T) {
	t.Parallel()
	empty := regexp.MustCompile(`(^|/)(utils?|common|helpers?|misc|pkg|shared|types)/`)
	for _, file := range goFiles(t) {
		if empty.MatchString(file) {
			t.Errorf("%s: the directory's name says nothing about what is in it", file)
		}
	}
}

func TestTestingItselfHoldsNoGoFile(t *testing.T) {
	t.Parallel()
	for _, file := range goFiles(t) {
		if path.Dir(file) == "testing" {
			t.Errorf("%s would shadow the standard library's testing: put it into a package below", file)
		}
	}
}

func TestDocsNameTargetsThatExist(t *testing.T) {
	t.Parallel()
	targets := regexp.MustCompile(`(?m)^([a-z-]+):`).FindAllStringSubmatch(string(read(t, "Makefile")), -1)
	known := make([]string, 0, len(targets))
	for _, target := range targets {
		known = append(known, target[1])
	}
	code := regexp.MustCompile("(?s)```.*?```|`[^`]+`")
	named := regexp.MustCompile(`\bmake ([a-z-]+)`)
	for _, file := range files(t, ".md") {
		for _, use := range named.FindAllStringSubmatch(strings.Join(code.FindAllString(string(read(t, file)), -1), "\n"), -1) {
			if !slices.Contains(known, use[1]) {
				t.Errorf("%s says `make %s`, and the Makefile has no such target", file, use[1])
			}
		}
	}
}

// root of the repository, seen from this package.
const root = "../.."

func goFiles(t *testing.T) []string {
	t.Helper()
	return files(t, ".go")
}

// files lists what the repository has with that extension, by slash-separated
// paths from its root, apart from directories that Go tools leave out too.
func files(t *testing.T, extension string) []string {
	t.Helper()
	var found []string
	require.NoError(t, fs.WalkDir(os.DirFS(root), ".", func(file string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := entry.Name()
		if entry.IsDir() && file != "." && (strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_") || name == "testdata" || name == "node_modules") {
			return fs.SkipDir
		}
		if !entry.IsDir() && path.Ext(file) == extension {
			found = append(found, file)
		}
		return nil
	}))
	require.NotEmpty(t, found)
	return found
}

func read(t *testing.T, file string) []byte {
	t.Helper()
	content, err := os.ReadFile(path.Join(root, file))
	require.NoError(t, err)
	return content
}

func countLines(t *testing.T, file string) int {
	t.Helper()
	return bytes.Count(read(t, file), []byte("\n"))
}
