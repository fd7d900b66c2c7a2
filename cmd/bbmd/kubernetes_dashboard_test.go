package main_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	yamlv3 "go.yaml.in/yaml/v3"

	"github.com/bbmd-dev/bbmd/internal/config"
	"github.com/bbmd-dev/bbmd/testing/manifests"
	renders "github.com/bbmd-dev/bbmd/testing/render"
)

// port is one of a container, of a Service, or of a rule of a NetworkPolicy.
type port struct {
	Name, Protocol, Port string
	TargetPort           string `yaml:"targetPort"`
	ContainerPort        int    `yaml:"containerPort"`
}

// TestTheDashboardIsReached follows the dashboard from the Service to the configuration that the
// daemon takes from its environment.
func TestTheDashboardIsReached(t *testing.T) {
	t.Parallel()
	token := filepath.Join(t.TempDir(), "token")
	require.NoError(t, os.WriteFile(token, []byte("what the Secret has in it\n"), 0o600))
	for name, c := range map[string]struct {
		text  []byte
		hosts []string
		port  string // of the Service
	}{
		"component": {componentsText(t, "components/networkpolicy", "components/dashboard"), []string{"bbmd"}, "8081"},
		"chart": {
			chartText(t, chart, renders.Release{Name: "shop", Namespace: "ours", Set: []string{"dashboard.enabled=true", "dashboard.port=80", "dashboard.hosts={it.example.com}", "networkPolicy.enabled=true"}}),
			[]string{"shop-bbmd", "shop-bbmd.ours", "shop-bbmd.ours.svc", "it.example.com"},
			"80",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			manifests.Strict(t, map[string][]byte{name: c.text})
			all := decodeManifests(t, name, c.text)
			checkManifests(t, name, all)
			pod := of(all, "Deployment")[0].pod(t)
			environ := []string{"DATABASE_URL=postgres://shop@db/shop"}
			for _, e := range pod.Containers[0].Env {
				switch {
				case e.Name == "BBMD_DASHBOARD__TOKEN_FILE":
					require.Equal(t, "dashboard", mountOf(t, pod.Containers[0], filepath.Dir(e.Value)))
					environ = append(environ, e.Name+"="+token)
				case e.Value != "":
					environ = append(environ, e.Name+"="+e.Value)
				}
			}
			cfg, err := config.Load(config.Sources{Search: []string{}, Environ: environ})
			require.NoError(t, err)
			require.Equal(t, ":8081", cfg.Dashboard.Listen)
			require.Equal(t, c.hosts, cfg.Dashboard.Hosts.Names())
			require.False(t, cfg.Dashboard.PublicRead)
			has, err := cfg.Dashboard.AccessToken()
			require.NoError(t, err)
			require.Equal(t, "what the Secret has in it", has)

			require.Contains(t, ports(t, c.text, "Deployment"), port{Name: "dashboard", ContainerPort: 8081, Protocol: "TCP"})
			require.Contains(t, ports(t, c.text, "Service"), port{Name: "dashboard", Port: c.port, TargetPort: "dashboard", Protocol: "TCP"})
			require.Contains(t, ports(t, c.text, "NetworkPolicy"), port{Port: "dashboard", Protocol: "TCP"})
		})
	}
}

// Nothing of it is there where nobody asks for it.
func TestTheDashboardIsOff(t *testing.T) {
	t.Parallel()
	for name, text := range map[string][]byte{"base": componentsText(t, "components/ha"), "chart": chartText(t, chart, renders.Release{})} {
		require.NotContains(t, string(text), "8081", name)
		require.NotContains(t, string(text), "bbmd-dashboard", name)
	}
}

// mountOf returns the name of the volume that is mounted at a path.
func mountOf(t *testing.T, c container, path string) string {
	t.Helper()
	for _, m := range c.VolumeMounts {
		if m.MountPath == path {
			return m.Name
		}
	}
	require.Fail(t, "nothing is mounted", path)
	return ""
}

// ports returns every port in the objects of a kind.
func ports(t *testing.T, text []byte, kind string) (found []port) {
	t.Helper()
	for part := range bytes.SplitSeq(text, []byte("\n---\n")) {
		var object map[string]any
		require.NoError(t, yamlv3.Unmarshal(part, &object))
		if object["kind"] == kind {
			found = append(found, portsIn(t, object)...)
		}
	}
	return found
}

func portsIn(t *testing.T, value any) (found []port) {
	t.Helper()
	switch value := value.(type) {
	case map[string]any:
		for name, child := range value {
			if name == "ports" {
				text, err := yamlv3.Marshal(child)
				require.NoError(t, err)
				var list []port
				require.NoError(t, yamlv3.Unmarshal(text, &list))
				found = append(found, list...)
				continue
			}
			found = append(found, portsIn(t, child)...)
		}
	case []any:
		for _, child := range value {
			found = append(found, portsIn(t, child)...)
		}
	}
	return found
}
