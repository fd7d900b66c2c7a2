package compose_test

import (
	"net"
	"os"
	"regexp"
	"slices"
	"strconv"
	"testing"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"
	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/internal/config"
)

func load(t *testing.T, environment ...string) *types.Project {
	t.Helper()
	options, err := cli.NewProjectOptions([]string{"../../docker-compose.yml"}, cli.WithName("bbmd"), cli.WithEnv(environment))
	require.NoError(t, err)
	project, err := options.LoadProject(t.Context())
	require.NoError(t, err)
	return project
}

func TestComposeFile(t *testing.T) {
	t.Parallel()
	project := load(t, "POSTGRES_PASSWORD=s3cret", "DASHBOARD_TOKEN=a-token-of-somebody")
	require.ElementsMatch(t, []string{"postgres", "bbmd"}, project.ServiceNames())
	bbmd, postgres := project.Services["bbmd"], project.Services["postgres"]

	url := bbmd.Environment["DATABASE_URL"]
	require.NotNil(t, url)
	cfg, err := config.Load(config.Sources{Search: []string{}, Environ: []string{"DATABASE_URL=" + *url}})
	require.NoError(t, err)
	require.Equal(t, []string{config.DefaultDatabase}, cfg.Names())
	require.Contains(t, *url, "s3cret@postgres:5432", "the service's own name, and the same password")
	require.Equal(t, "s3cret", *postgres.Environment["POSTGRES_PASSWORD"])

	checkDashboard(t, bbmd)
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

// checkDashboard wants it where its port is published, with the token that the environment gives.
func checkDashboard(t *testing.T, bbmd types.ServiceConfig) {
	t.Helper()
	environ := []string{}
	for name, value := range bbmd.Environment {
		require.NotNil(t, value, name)
		environ = append(environ, name+"="+*value)
	}
	cfg, err := config.Load(config.Sources{Search: []string{}, Environ: environ})
	require.NoError(t, err)
	token, err := cfg.Dashboard.AccessToken()
	require.NoError(t, err)
	require.Equal(t, "a-token-of-somebody", token)
	_, port, err := net.SplitHostPort(cfg.Dashboard.Listen)
	require.NoError(t, err)
	require.True(t, slices.ContainsFunc(bbmd.Ports, func(p types.ServicePortConfig) bool { return strconv.Itoa(int(p.Target)) == port }))
}

// Without any environment it starts as well.
func TestComposeFileByItself(t *testing.T) {
	t.Parallel()
	bbmd := load(t).Services["bbmd"]
	token := bbmd.Environment["BBMD_DASHBOARD__TOKEN"]
	require.NotNil(t, token)
	require.GreaterOrEqual(t, len(*token), config.MinAccessToken)
	docs, err := os.ReadFile("../../docs/dashboard.md")
	require.NoError(t, err)
	require.Contains(t, string(docs), *token)
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
