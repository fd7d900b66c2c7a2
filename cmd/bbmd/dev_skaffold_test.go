package main_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/bbmd-dev/bbmd/internal/config"
)

// skaffold is what our file uses of Skaffold's schema, v4beta13. What is in the file and not here is
// a mistake of the file, or is looked up in the schema first.
type skaffold struct {
	APIVersion string `yaml:"apiVersion"`
	Kind       string `yaml:"kind"`
	Metadata   struct {
		Name string `yaml:"name"`
	} `yaml:"metadata"`
	skaffoldPipeline `yaml:",inline"`
	Profiles         []struct {
		Name             string `yaml:"name"`
		skaffoldPipeline `yaml:",inline"`
	} `yaml:"profiles"`
}

// skaffoldPipeline is what a profile may change.
type skaffoldPipeline struct {
	Build struct {
		Artifacts []skaffoldArtifact `yaml:"artifacts"`
		TagPolicy struct {
			InputDigest *struct{} `yaml:"inputDigest"`
		} `yaml:"tagPolicy"`
		Local struct {
			Push *bool `yaml:"push"`
		} `yaml:"local"`
	} `yaml:"build"`
	Manifests struct {
		Kustomize struct {
			Paths []string `yaml:"paths"`
		} `yaml:"kustomize"`
	} `yaml:"manifests"`
	Deploy struct {
		Kubectl                       *struct{} `yaml:"kubectl"`
		StatusCheck                   *bool     `yaml:"statusCheck"`
		StatusCheckDeadlineSeconds    int       `yaml:"statusCheckDeadlineSeconds"`
		TolerateFailuresUntilDeadline bool      `yaml:"tolerateFailuresUntilDeadline"`
	} `yaml:"deploy"`
	PortForward []struct {
		ResourceType string `yaml:"resourceType"`
		ResourceName string `yaml:"resourceName"`
		Namespace    string `yaml:"namespace"`
		Port         any    `yaml:"port"`
		LocalPort    int    `yaml:"localPort"`
	} `yaml:"portForward"`
}

type skaffoldArtifact struct {
	Image   string `yaml:"image"`
	Context string `yaml:"context"`
	Docker  struct {
		Dockerfile string `yaml:"dockerfile"`
	} `yaml:"docker"`
}

// TestSkaffold holds the Skaffold file against Skaffold's schema, and against what it names.
func TestSkaffold(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(repository, "examples/bakery-ia")
	text, err := os.ReadFile(filepath.Join(dir, "skaffold.yaml"))
	require.NoError(t, err)
	var file skaffold
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	decoder.KnownFields(true)
	require.NoError(t, decoder.Decode(&file))
	require.Equal(t, "skaffold/v4beta13", file.APIVersion)
	require.Equal(t, "Config", file.Kind)
	for _, artifact := range file.Build.Artifacts {
		require.FileExists(t, filepath.Join(dir, artifact.Context, artifact.Docker.Dockerfile))
	}

	running := map[string][]string{}
	for _, profile := range file.Profiles {
		require.Len(t, profile.Manifests.Kustomize.Paths, 1, profile.Name)
		path := filepath.Join(dir, profile.Manifests.Kustomize.Paths[0])
		require.FileExists(t, filepath.Join(path, "kustomization.yaml"))
		all := render(t, path)
		started, databases := startedOf(t, renderText(t, path)), databasesOf(t, all)
		require.ElementsMatch(t, databases, started, "%s: the services that run, and the databases that the daemon looks after", profile.Name)
		running[profile.Name] = started

		daemon := find(t, all, "Deployment", "bbmd").pod(t).Containers[0]
		require.True(t, slices.ContainsFunc(file.Build.Artifacts, func(a skaffoldArtifact) bool { return a.Image+":dev" == daemon.Image }),
			"%s: nothing builds %s", profile.Name, daemon.Image)
		checkForwards(t, file.skaffoldPipeline, renderText(t, path))
	}
	require.Len(t, running["full"], 14)
	require.Len(t, running["dev"], 14)
	require.Len(t, running["minimal"], 3)
	require.Equal(t, []string{"auth"}, running["single"])
	require.Len(t, running, 4)
}

// startedOf returns the services that have a pod at once.
func startedOf(t *testing.T, text []byte) (names []string) {
	t.Helper()
	for decoder := yaml.NewDecoder(bytes.NewReader(text)); ; {
		var object struct {
			Kind string
			Spec struct {
				Replicas *int
				Template struct {
					Metadata struct{ Labels map[string]string }
				}
			}
		}
		err := decoder.Decode(&object)
		if errors.Is(err, io.EOF) {
			return names
		}
		require.NoError(t, err)
		service := object.Spec.Template.Metadata.Labels["service"]
		if object.Kind == "Deployment" && service != "" && (object.Spec.Replicas == nil || *object.Spec.Replicas > 0) {
			names = append(names, service)
		}
	}
}

// databasesOf returns the databases of the profile that the daemon is started with.
func databasesOf(t *testing.T, all []manifest) []string {
	t.Helper()
	cfg := loadConfiguration(t, "skaffold", configuration(t, all), services(all))
	profile, profiles := cfg.Profile, cfg.Profiles
	for _, e := range find(t, all, "Deployment", "bbmd").pod(t).Containers[0].Env {
		switch e.Name {
		case "BBMD_PROFILE":
			profile = e.Value
		case "BBMD_PROFILES":
			profiles = config.Profiles(e.Value)
		}
	}
	databases, ok := profiles.Databases(profile)
	require.True(t, ok, profile)
	return databases
}

// checkForwards looks for the ports that are forwarded.
func checkForwards(t *testing.T, file skaffoldPipeline, text []byte) {
	t.Helper()
	for _, forward := range file.PortForward {
		require.Equal(t, "service", forward.ResourceType)
		found := false
		for decoder := yaml.NewDecoder(bytes.NewReader(text)); !found; {
			var object struct {
				Kind     string
				Metadata struct{ Name, Namespace string }
				Spec     struct{ Ports []struct{ Name string } }
			}
			require.NoError(t, decoder.Decode(&object), "no service %s in %s with a port %v", forward.ResourceName, forward.Namespace, forward.Port)
			found = object.Kind == "Service" && object.Metadata.Name == forward.ResourceName && object.Metadata.Namespace == forward.Namespace &&
				slices.ContainsFunc(object.Spec.Ports, func(p struct{ Name string }) bool { return p.Name == forward.Port })
		}
	}
}
