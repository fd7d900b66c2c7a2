package manifests

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// Strict fails the test with everything that Kubernetes would refuse in texts,
// each some YAML documents, by a name for the message: fields that there are
// not, values of the wrong type, names and labels, selectors that select
// nothing, and pods that the restricted profile does not let in.
func Strict(tb testing.TB, texts map[string][]byte) {
	tb.Helper()
	for _, problem := range problems(tb, texts) {
		tb.Error(problem)
	}
}

// problems runs the program strict, once for all texts.
func problems(tb testing.TB, texts map[string][]byte) (found []string) {
	tb.Helper()
	arguments := []string{"run", "-C", program(tb), "."}
	names := map[string]string{}
	dir := tb.TempDir()
	for name, text := range texts {
		file := filepath.Join(dir, strconv.Itoa(len(names))+".yaml")
		if err := os.WriteFile(file, text, 0o600); err != nil {
			tb.Fatal(err)
		}
		names[file] = name
		arguments = append(arguments, file)
	}
	output, err := exec.CommandContext(tb.Context(), "go", arguments...).CombinedOutput() //nolint:gosec // its arguments are this function's own
	if err == nil {
		return nil
	}
	for line := range strings.Lines(string(output)) {
		line = strings.TrimSpace(line)
		if file, problem, ok := strings.Cut(line, ": "); ok && names[file] != "" {
			line = names[file] + ": " + problem
		}
		found = append(found, line)
	}
	return append(found, err.Error())
}

// program returns the directory of the program strict, from wherever in the
// repository the test is.
func program(tb testing.TB) string {
	tb.Helper()
	output, err := exec.CommandContext(tb.Context(), "go", "env", "GOMOD").Output()
	if err != nil {
		tb.Fatalf("find the repository: %v", err)
	}
	return filepath.Join(filepath.Dir(strings.TrimSpace(string(output))), "testing", "manifests", "strict")
}
