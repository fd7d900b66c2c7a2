package compose_test

import (
	"os"
	"regexp"
	"testing"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"
	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/internal/config"
)

func load(t *testing.T) *types.Project {
	t.Helper()
	options, err := cli.NewProjectOptions([]string{"../../docker-compose.yml"}, cli.WithName("bbmd"), cli.WithEnv([]string{"POSTGRES_PASSWORD=s3cret"}))
	require.NoError(t, err)
	project, err := options.LoadProject(t.Context())
	require.NoError(t, err)
	return project
}

func TestComposeFile(t *testing.T) {
	t.Parallel()
	project := load(t)
	require.ElementsMatch(t, []string{"postgres", "bbmd"}, project.ServiceNames())
	bbmd, postgres := project.Services["bbmd"], project.Services["postgres"]

	url := bbmd.Environment["DATABASE_URL"]
	require.NotNil(t, url)
	cfg, err := config.Load(config.Sources{Search: []string{}, Environ: []string{"DATABASE_URL=" + *url}})
	require.NoError(t, err)
	require.Equal(t, []string{config.DefaultDatabase}, cfg.Names())
	require.Contains(t, *url, "s3cret@postgres:5432", "the service's own name, and the same password")
	require.Equal(t, "s3cret", *postgres.Environment["POSTGRES_PASSWORD"])

	require.True(t, bbmd.ReadOnly)
	require.Contains(t, bbmd.HealthCheck.Test, "probe")
	require.NotNil(t, bbmd.StopGracePeriod)
	require.Greater(t, *bbmd.StopGracePeriod, types.Duration(cfg.ShutdownGrace), "or the drain is cut short")
	for _, service := range project.Services {
		for _, port := range service.Ports {
			require.Equal(t, "127.0.0.1", port.HostIP, "nothing is offered to the network")
		}
	}
}

func TestDockerfile(t *testing.T) {
	t.Parallel()
	content, err := os.ReadFile("../../Dockerfile")
	require.NoError(t, err)
	text := string(content)
	require.Regexp(t, `(?m)^FROM scratch$`, text)
	require.Regexp(t, `(?m)^USER \d+:\d+$`, text, "Kubernetes can only check a numeric user")
	require.Contains(t, text, "CGO_ENABLED=0")
	module, err := os.ReadFile("../../go.mod")
	require.NoError(t, err)
	version := regexp.MustCompile(`(?m)^go (\d+\.\d+)`).FindSubmatch(module)
	require.NotNil(t, version)
	require.Contains(t, text, "FROM golang:"+string(version[1])+" AS build")
	for _, line := range regexp.MustCompile(`(?m)^COPY (?:--\S+ )?([\w./]+)`).FindAllStringSubmatch(text, -1) {
		if line[1][0] != '/' {
			_, err := os.Stat("../../" + line[1])
			require.NoError(t, err)
		}
	}
}
