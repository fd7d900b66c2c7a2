package manifests_test

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	yamlv3 "go.yaml.in/yaml/v3"
)

var update = flag.Bool("update", false, "write the copies of rules.yaml and dashboard.json anew")

const (
	component  = "../../deploy/kubernetes/components/monitoring"
	chartFiles = "../../deploy/helm/bbmd/files"
)

// TestCopiesAreEqual is about what kustomize and Helm cannot read where it is:
// neither goes outside its own directory.
func TestCopiesAreEqual(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"rules.yaml", "dashboard.json"} {
		checkCopy(t, filepath.Join(chartFiles, name), read(t, filepath.Join(component, name)))
	}
	file := filepath.Join(component, "prometheusrule.yaml")
	head, _, ok := bytes.Cut(read(t, file), []byte("\nspec:\n"))
	require.True(t, ok, "%s has no spec", file)
	rules := regexp.MustCompile(`(?m)^#.*\n`).ReplaceAll(read(t, filepath.Join(component, "rules.yaml")), nil)
	spec := regexp.MustCompile(`(?m)^(.)`).ReplaceAll(rules, []byte("  $1"))
	checkCopy(t, file, slices.Concat(head, []byte("\nspec:\n"), spec))
	var rule struct{ Spec any }
	require.NoError(t, yamlv3.Unmarshal(read(t, file), &rule))
	var plain any
	require.NoError(t, yamlv3.Unmarshal(rules, &plain))
	require.Equal(t, plain, rule.Spec)
}

func checkCopy(t *testing.T, file string, want []byte) {
	t.Helper()
	if *update {
		require.NoError(t, os.WriteFile(file, want, 0o644))
	}
	require.Equal(t, string(want), string(read(t, file)), "%s is behind: go test ./testing/manifests -update", file)
}

func read(t *testing.T, file string) []byte {
	t.Helper()
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	return text
}

// matches says whether one of the lines is as the pattern says.
func matches(lines []string, pattern string) func() bool {
	return func() bool { return slices.ContainsFunc(lines, regexp.MustCompile("^"+pattern).MatchString) }
}
