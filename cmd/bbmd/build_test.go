package main_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/testing/pgtest"
)

// checkout returns the directory of this repository.
func checkout(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs("../..")
	require.NoError(t, err)
	return dir
}

// ownModule writes a module outside of this repository.
func ownModule(t *testing.T, source string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	for name, content := range map[string]string{
		"go.mod":         "module example.com/own\n\ngo 1.26.0\n",
		"works/works.go": source,
	} {
		require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o700))
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600))
	}
	return dir
}

// offline is an environment in which the go command asks nobody. With the same
// instrumentation, what this test is built of is built already.
func offline(t *testing.T) (env, goFlags []string) {
	t.Helper()
	cgo, err := exec.CommandContext(t.Context(), "go", "env", "CGO_ENABLED").Output()
	require.NoError(t, err)
	env = append(os.Environ(), "GOPROXY=off", "GOFLAGS=-mod=mod", "CGO_ENABLED="+strings.TrimSpace(string(cgo)))
	if raceEnabled {
		return env, []string{"-race"}
	}
	return env, []string{"-buildvcs=false"}
}

func TestBuildSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	env, _ := offline(t)
	dir := ownModule(t, "package works\n\nfunc init() { nothing() }\n")
	program := filepath.Join(t.TempDir(), "bbmd-own")
	for name, c := range map[string]struct {
		arguments []string
		code      int
		says      string
	}{
		"nothing":       {nil, 2, "nothing to compile in: name a module with --with"},
		"no file":       {[]string{"--with", "example.com/own"}, 2, "no file for the program: name one with -o"},
		"a word":        {[]string{"--with", "own", "-o", program}, 2, `"own" is no path of a module: write it as its go.mod does`},
		"a directory":   {[]string{"--with", "./own", "-o", program}, 2, "./own is a directory: name the module as its go.mod does, and say --replace MODULE=./own as well"},
		"no version":    {[]string{"--with", "example.com/own@", "-o", program}, 2, "has no version behind its @"},
		"no module":     {[]string{"--with", "example.com/own", "--replace", "example.com/own=" + t.TempDir(), "-o", program}, 2, "is no module: name the directory of its go.mod, or run go mod init there"},
		"no equals":     {[]string{"--with", "example.com/own", "--replace", "example.com/own", "-o", program}, 2, "is no replacement: write it as"},
		"an argument":   {[]string{"example.com/own"}, 2, "name modules with --with, and flags of go build after --"},
		"not found":     {[]string{"--with", "example.com/nowhere@v1.0.0", "--replace", "github.com/bbmd-dev/bbmd=" + checkout(t), "-o", program}, 1, "a module that is on this machine goes with --replace MODULE=DIRECTORY"},
		"not compiling": {[]string{"--with", "example.com/own/works", "--replace", "example.com/own=" + dir, "--replace", "github.com/bbmd-dev/bbmd=" + checkout(t), "-o", program}, 1, "undefined: nothing"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			arguments := append([]string{"build"}, c.arguments...)
			if name == "not compiling" { // of the same instrumentation, and so without compiling anything else
				_, goFlags := offline(t)
				arguments = append(append(arguments, "--"), goFlags...)
			}
			r := bbmd(t, env, arguments...)
			require.Equal(t, c.code, r.code, r.err)
			require.Contains(t, r.err, c.says)
			require.NoFileExists(t, program)
		})
	}
}

func TestBuildNeedsGo(t *testing.T) {
	t.Parallel()
	db := pgtest.NewEmpty(t)
	p := spawn(t, append(databaseURL(db), "PATH="+t.TempDir()), "build", "--with", "example.com/own", "-o", filepath.Join(t.TempDir(), "x"))
	require.Equal(t, 2, p.wait())
	require.Contains(t, p.err.String(), "no go command in PATH: install Go from https://go.dev/dl, or build where it is")
}
