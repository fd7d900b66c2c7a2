package render_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/testing/render"
)

// directory holds these files.
func directory(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		path := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
		require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
	}
	return dir
}

const configMap = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: one\n"

func TestKustomizationWithComponents(t *testing.T) {
	t.Parallel()
	dir := directory(t, map[string]string{
		"base/one.yaml":                   configMap,
		"base/kustomization.yaml":         "resources: [one.yaml]\n",
		"components/kustomization.yaml":   "apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\nnamePrefix: my-\n",
		"overlay/kustomization.yaml":      "resources: [../base]\ncomponents: [../components]\nnamespace: shop\n",
		"deprecated/kustomization.yaml":   "resources: [../base]\ncommonLabels: {app: it}\n",
		"misspelt/kustomization.yaml":     "resource: [../base]\n",
		"from-outside/kustomization.yaml": "resources: [../base/one.yaml]\n",
	})

	text, err := render.Kustomization(t.Context(), filepath.Join(dir, "overlay"))

	require.NoError(t, err)
	require.Equal(t, "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: my-one\n  namespace: shop\n", string(text))
	for name, complaint := range map[string]string{"deprecated": "commonLabels", "misspelt": `"resource"`, "from-outside": "security"} {
		_, err := render.Kustomization(t.Context(), filepath.Join(dir, name))
		require.ErrorContains(t, err, complaint, name)
	}
}

func chart(t *testing.T) string {
	t.Helper()
	return directory(t, map[string]string{
		"shop/Chart.yaml":  "apiVersion: v2\nname: shop\nversion: 1.2.3\ntype: application\nicon: https://example.org/icon.svg\n",
		"shop/values.yaml": "color: red\nsize: 1\n",
		"shop/values.schema.json": `{"$schema": "http://json-schema.org/draft-07/schema#", "type": "object",
			"properties": {"color": {"type": "string"}, "size": {"type": "integer"}}, "additionalProperties": false}`,
		"shop/templates/_helpers.tpl": `{{ define "name" }}{{ .Release.Name }}-{{ .Values.color }}{{ end }}`,
		"shop/templates/NOTES.txt":    "Thank you.\n",
		"shop/templates/one.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {{ include \"name\" . }}\n  namespace: {{ .Release.Namespace }}\n" +
			"data:\n  size: {{ .Values.size | quote }}\n  upgrade: {{ .Release.IsUpgrade | quote }}\n",
		"shop/templates/monitor.yaml": "{{ if .Capabilities.APIVersions.Has \"monitoring.coreos.com/v1\" }}\napiVersion: monitoring.coreos.com/v1\nkind: ServiceMonitor\nmetadata:\n  name: one\n{{ end }}",
		"blue.yaml":                   "color: blue\nsize: 2\n",
		"three.yaml":                  "size: 3\n",
	})
}

func TestChart(t *testing.T) {
	t.Parallel()
	dir := chart(t)
	shop := filepath.Join(dir, "shop")

	text, err := render.Chart(t.Context(), shop, render.Release{})

	require.NoError(t, err)
	require.Equal(t, "---\n# Source: shop/templates/one.yaml\napiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: release-name-red\n  namespace: default\n"+
		"data:\n  size: \"1\"\n  upgrade: \"false\"\n", string(text))

	text, err = render.Chart(t.Context(), shop, render.Release{
		Name: "mine", Namespace: "ours", Upgrade: true, APIs: []string{"monitoring.coreos.com/v1"},
		Values: []string{filepath.Join(dir, "blue.yaml"), filepath.Join(dir, "three.yaml")}, Set: []string{"color=green"},
	})

	require.NoError(t, err)
	for _, part := range []string{"kind: ServiceMonitor\n", "name: mine-green\n", "namespace: ours\n", `size: "3"`, `upgrade: "true"`} {
		require.Contains(t, string(text), part)
	}
}

func TestChartsThatAreRefused(t *testing.T) {
	t.Parallel()
	shop := filepath.Join(chart(t), "shop")
	_, err := render.Chart(t.Context(), shop, render.Release{Set: []string{"size=large"}})
	require.ErrorContains(t, err, "size")
	_, err = render.Chart(t.Context(), shop, render.Release{Set: []string{"colour=red"}})
	require.ErrorContains(t, err, "colour")
	_, err = render.Chart(t.Context(), filepath.Dir(shop), render.Release{})
	require.ErrorContains(t, err, "Chart.yaml")

	broken := filepath.Join(shop, "templates", "broken.yaml")
	for template, complaint := range map[string]string{
		"a: {{ .Values.a.b.c }}":                        "nil pointer",
		"{{ required \"size of what?\" .Values.what }}": "size of what?",
		"{{ if }}": "missing value for if",
		"apiVersion: policy/v1beta1\nkind: PodDisruptionBudget\nmetadata: {name: old}": "PodDisruptionBudget",
		"a: [": "YAML",
	} {
		require.NoError(t, os.WriteFile(broken, []byte(template), 0o600))
		_, err = render.Chart(t.Context(), shop, render.Release{})
		require.ErrorContains(t, err, complaint, template)
	}
}
