package manifests_test

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/testing/manifests"
)

func TestWhatKubernetesRefuses(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("testdata/refused.yaml")
	require.NoError(t, err)
	found := manifests.Problems(t, map[string][]byte{"refused": text})
	for _, want := range []string{
		`refused: Deployment misspelt: .*unknown field "replica"`,
		`refused: Service typed: .*cannot unmarshal string into Go struct field .*port`,
		`refused: ConfigMap twice: .*`,
		`refused: Deployment outdated: nobody here knows apps/v1beta1 Deployment`,
		`refused: ServiceAccount Capital: its name: .*`,
		`refused: ServiceAccount Capital: label x=a b: .*`,
		`refused: Deployment root: its selector does not select its own pods`,
		`refused: Deployment root: not restricted: .*privileged.*runAsNonRoot.*seccompProfile.*`,
	} {
		require.Condition(t, matches(found, want), "%s\nin %q", want, found)
	}
}

func TestWhatKubernetesTakes(t *testing.T) {
	t.Parallel()
	manifests.Strict(t, map[string][]byte{
		"one":  []byte("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a.b-c}\ndata: {a: x}\n"),
		"none": []byte("---\n"),
	})
}
