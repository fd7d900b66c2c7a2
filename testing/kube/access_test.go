package kube_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestNoAccess shows that nothing that is shipped may ask Kubernetes anything, or has what it takes to try.
func TestNoAccess(t *testing.T) {
	t.Parallel()
	s := newService(t, "access")
	release := s.release("1", steps(users+mark))
	s.apply(release)
	s.apply(s.manifestsOf(""))
	s.every("1", 3, "ready", pod.ready)
	s.daemon("ready", pod.ready)
	s.waitJob("bbmd-migrate-1", "Complete")

	require.NotContains(t, s.do("get", "roles,rolebindings", "-o", "name"), "/", "there is no Role and no RoleBinding")
	bindings := s.kubectl(t, "", "get", "clusterrolebindings,rolebindings", "-A", "-o", "jsonpath={.items[*].subjects}")
	require.NotContains(t, bindings, s.name)

	// The daemon's account may do what everybody may, which is to ask what it may do.
	may := func(account string) string {
		return s.do("auth", "can-i", "--list", "--as=system:serviceaccount:"+s.name+":"+account)
	}
	require.Equal(t, may("default"), may("bbmd"))
	for _, resource := range []string{"pods", "secrets", "configmaps", "jobs", "leases"} {
		require.NotContains(t, may("bbmd"), resource)
	}

	for _, p := range s.pods("") {
		require.NotNil(t, p.Spec.AutomountServiceAccountToken, p.Metadata.Name)
		require.False(t, *p.Spec.AutomountServiceAccountToken, p.Metadata.Name)
		for _, volume := range p.Spec.Volumes {
			require.NotContains(t, volume, "projected", "%s has a token mounted", p.Metadata.Name)
		}
	}
	web := s.web("1")[0]
	_, stderr, err := s.program(t.Context(), "", "kubectl", "-n", s.name, "exec", web.Metadata.Name, "-c", "web", "--", "ls", "/var/run/secrets")
	require.Error(t, err)
	require.Contains(t, strings.ToLower(stderr), "no such file")
}
