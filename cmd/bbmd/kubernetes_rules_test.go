package main_test

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	main "github.com/bbmd-dev/bbmd/cmd/bbmd"
)

// checkManifests holds what is shipped against the rules of this house; what
// Kubernetes wants is testing/manifests' to say.
func checkManifests(t *testing.T, where string, all []manifest) {
	t.Helper()
	for i := range all {
		m := &all[i]
		where := where + ": " + m.Kind + " " + m.Metadata.Name
		switch m.Kind {
		case "ServiceAccount":
			require.NotNil(t, m.AutomountServiceAccountToken, where)
			require.False(t, *m.AutomountServiceAccountToken, where)
		case "Deployment":
			checkPod(t, where, m.pod(t))
		case "Job":
			checkPod(t, where, m.pod(t))
			checkJob(t, where, m)
		}
	}
}

func checkPod(t *testing.T, where string, p *pod) {
	t.Helper()
	require.NotNil(t, p.AutomountServiceAccountToken, where)
	require.False(t, *p.AutomountServiceAccountToken, "%s: no token", where)
	for _, c := range p.all() {
		where := where + ": " + c.Name
		require.True(t, c.SecurityContext.ReadOnlyRootFilesystem, where)
		require.NotEmpty(t, c.Resources.Requests["cpu"], where)
		require.NotEmpty(t, c.Resources.Requests["memory"], where)
		require.NotEmpty(t, c.Resources.Limits["memory"], where)
		if slices.Contains([]string{"bbmd", "migrate", "wait-for-schema"}, c.Name) {
			require.NotNil(t, p.EnableServiceLinks, where)
			require.False(t, *p.EnableServiceLinks, "%s: variables of a Service called bbmd are no keys", where)
			require.Equal(t, "FallbackToLogsOnError", c.TerminationMessagePolicy, where)
			checkCommand(t, where, c.Args)
		}
		if c.Name == "bbmd" {
			require.Equal(t, "/livez", c.StartupProbe.HTTPGet.Path, where)
			require.Equal(t, "/livez", c.LivenessProbe.HTTPGet.Path, "%s: whether a restart helps, and nothing else", where)
			require.Equal(t, "/readyz", c.ReadinessProbe.HTTPGet.Path, where)
		}
	}
}

// checkCommand holds arguments against the command line that there is.
func checkCommand(t *testing.T, where string, arguments []string) {
	t.Helper()
	cmd, args, err := main.Commands().Find(arguments)
	require.NoError(t, err, where)
	require.NoError(t, cmd.ParseFlags(args), where)
	require.NoError(t, cmd.ValidateArgs(cmd.Flags().Args()), where)
}

func checkJob(t *testing.T, where string, m *manifest) {
	t.Helper()
	require.Equal(t, "Never", m.pod(t).RestartPolicy, where)
	require.Equal(t, "Failed", m.Spec.PodReplacementPolicy, where)
	require.Len(t, m.Spec.PodFailurePolicy.Rules, 2, where)
	disruption, final := m.Spec.PodFailurePolicy.Rules[0], m.Spec.PodFailurePolicy.Rules[1]
	require.Equal(t, "Ignore", disruption.Action, "%s: the first rule that matches counts", where)
	require.Equal(t, "FailJob", final.Action, where)
	require.Equal(t, m.pod(t).Containers[0].Name, final.OnExitCodes.ContainerName, where)
	for _, code := range final.OnExitCodes.Values {
		require.Contains(t, main.ExitCodes(), code, where)
		require.NotContains(t, []int{0, 69, 75}, code, "%s: another try is what that is for", where)
	}
}
