package migtest_test

import (
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/testing/pgtest"
)

// exampleModule is a module of its own that uses bbmd as its users do.
const exampleModule = "../../examples/work-module"

// TestExampleModule runs the tests of a module that is not this one, and builds
// the program in it.
func TestExampleModule(t *testing.T) {
	t.Parallel()
	server, err := url.Parse(pgtest.NewEmpty(t).Superuser(t).URL)
	require.NoError(t, err)
	server.Path = "/postgres"
	for _, arguments := range [][]string{{"vet"}, {"test"}} {
		// With the same instrumentation, what this test is built of is built already.
		command := exec.CommandContext(t.Context(), "go", append(append(arguments, raceFlag()...), "./...")...)
		command.Dir = exampleModule
		command.Env = append(os.Environ(), pgtest.EnvServer+"="+server.String())
		output, err := command.CombinedOutput()
		require.NoError(t, err, "%s\nif its go.mod is behind: go -C examples/work-module mod tidy\n%s", command, output)
	}
}

func raceFlag() []string {
	if raceEnabled {
		return []string{"-race"}
	}
	return nil
}

const (
	walkthrough = "../../docs/writing-works.md"
	worksTable  = "CREATE TABLE users (id bigint PRIMARY KEY, email text, email_norm text, phone text, phone_e164 text)"
)

// TestWalkthroughShowsTheExample demands that every piece of Go in the walkthrough
// is in the example module, letter by letter, and so is tested.
func TestWalkthroughShowsTheExample(t *testing.T) {
	t.Parallel()
	var files strings.Builder
	for _, pattern := range []string{"*.go", "*/*.go"} {
		names, err := filepath.Glob(filepath.Join(exampleModule, pattern))
		require.NoError(t, err)
		for _, name := range names {
			content, err := os.ReadFile(name)
			require.NoError(t, err)
			files.Write(content)
		}
	}
	pieces := blocks(t, "go")
	require.NotEmpty(t, pieces)
	for _, piece := range pieces {
		require.Contains(t, files.String(), piece)
	}
}

// TestWalkthroughEnqueues runs the walkthrough's SQL.
func TestWalkthroughEnqueues(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	db.Exec(t, worksTable)
	pieces := blocks(t, "sql")
	for _, piece := range pieces {
		db.Exec(t, piece)
	}
	require.Equal(t, []string{"normalize_email", "normalize_phone"},
		pgtest.Column[string](t, db, "SELECT job_signature_name FROM bbm.batched_background_migrations ORDER BY id"))
}

// blocks returns the walkthrough's code in a language.
func blocks(t *testing.T, language string) []string {
	t.Helper()
	page, err := os.ReadFile(walkthrough)
	require.NoError(t, err)
	var found []string
	for _, match := range regexp.MustCompile("(?s)```"+language+"\n(.*?)```").FindAllStringSubmatch(string(page), -1) {
		found = append(found, match[1])
	}
	return found
}
