package main_test

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/internal/config"
)

// checkConfigurations loads every bbmd.yaml in a ConfigMap, as the daemon would.
func checkConfigurations(t *testing.T, where string, all []manifest) {
	t.Helper()
	for _, m := range of(all, "ConfigMap") {
		text, ok := m.Data["bbmd.yaml"]
		if !ok {
			continue
		}
		cfg := loadConfiguration(t, where, text, services(all))
		// What may lose data is development's alone, and has to be asked for.
		require.Equal(t, strings.Contains(where, "dev"), cfg.DevelopmentMode, where)
		require.Empty(t, cfg.ForceRecreate, where)
	}
}

// loadConfiguration loads text where there is a directory with migrations for
// each service, and an environment with their urls, or DATABASE_URL.
func loadConfiguration(t *testing.T, where, text string, services []string) config.Config {
	t.Helper()
	dir := t.TempDir()
	environ := []string{"DATABASE_URL=postgres://shop@db/shop"}
	if len(services) > 0 {
		environ = nil
	}
	for _, service := range services {
		require.NoError(t, os.MkdirAll(filepath.Join(dir, "services", service, "migrations"), 0o700))
		variable := strings.ToUpper(strings.ReplaceAll(service, "-", "_")) + "_DATABASE_URL"
		environ = append(environ, variable+"=postgres://"+service+"@db/"+service)
	}
	file := filepath.Join(dir, "bbmd.yaml")
	require.NoError(t, os.Mkdir(filepath.Join(dir, "migrations"), 0o700))
	text = strings.NewReplacer(": /services", ": "+filepath.Join(dir, "services"), ": /migrations", ": "+filepath.Join(dir, "migrations")).Replace(text)
	require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
	cfg, err := config.Load(config.Sources{File: file, Environ: environ})
	require.NoError(t, err, where)
	return cfg
}

// services are those that have a database of their own, by the label of their
// pods.
func services(all []manifest) (names []string) {
	for _, m := range of(all, "Deployment") {
		if service := m.Spec.Template.Metadata.Labels["service"]; service != "" {
			names = append(names, service)
		}
	}
	return names
}

func TestFourteenServicesAndOneDaemon(t *testing.T) {
	t.Parallel()
	for _, overlay := range []string{"dev", "production"} {
		all := render(t, filepath.Join(repository, "examples/bakery-ia", overlay))
		names := services(all)
		require.Len(t, names, 14)
		text := configuration(t, all)
		cfg := loadConfiguration(t, overlay, text, names)
		require.ElementsMatch(t, names, slices.Collect(maps.Keys(cfg.Databases)))
		for name, database := range cfg.Databases {
			require.NotEmpty(t, database.Schema.Migrations, name)
			require.Empty(t, database.Schema.OnStart, "%s: the daemon migrates", name)
		}
		require.Empty(t, of(all, "Job"), "the daemon migrates")
		for _, name := range names {
			checkItsWait(t, find(t, all, "Deployment", name+"-service"), name)
		}
	}
}

func configuration(t *testing.T, all []manifest) string {
	t.Helper()
	for _, m := range of(all, "ConfigMap") {
		if text := m.Data["bbmd.yaml"]; text != "" {
			return text
		}
	}
	require.Fail(t, "there is no bbmd.yaml")
	return ""
}

// checkItsWait loads what a service's init container has in its environment, as
// Kubernetes would expand it.
func checkItsWait(t *testing.T, m *manifest, service string) {
	t.Helper()
	p := m.pod(t)
	require.Len(t, p.InitContainers, 1)
	dir := t.TempDir()
	url := filepath.Join(dir, "url")
	require.NoError(t, os.WriteFile(url, []byte("postgres://reader@db/"+service), 0o600))
	migrations := filepath.Join(dir, "services", service, "migrations")
	require.NoError(t, os.MkdirAll(migrations, 0o700))
	in := strings.NewReplacer("$(SERVICE)", service, "/run/secrets/database-url", url, "/services/", filepath.Join(dir, "services")+"/")
	var environ []string
	for _, e := range p.InitContainers[0].Env {
		if e.Name == "SERVICE" {
			continue // of the pod's label
		}
		environ = append(environ, e.Name+"="+in.Replace(e.Value))
	}
	cfg, err := config.Load(config.Sources{Search: []string{}, Environ: environ})
	require.NoError(t, err, service)
	require.Equal(t, migrations, cfg.Databases["default"].Schema.Migrations)
}

func TestDevelopmentIsRecreatedByAnEditOfAConfigMap(t *testing.T) {
	t.Parallel()
	for _, overlay := range []string{"deploy/kubernetes/overlays/dev", "examples/bakery-ia/dev"} {
		all := render(t, filepath.Join(repository, overlay))
		find(t, all, "ConfigMap", "bbmd") // no hash in its name: the same one, that pods have mounted
		text := strings.Replace(configuration(t, all), `force_recreate: ""`, `force_recreate: monday`, 1)
		cfg := loadConfiguration(t, overlay, text, services(all))
		require.Equal(t, "monday", string(cfg.ForceRecreate))
		require.True(t, cfg.DevelopmentMode)
	}
}
