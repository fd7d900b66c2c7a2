package main_test

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	yamlv3 "go.yaml.in/yaml/v3"
)

// manifest is as much of Kubernetes' types as the tests here look at; that all
// of it is right, testing/manifests looks after.
type manifest struct {
	APIVersion string `yaml:"apiVersion"`
	Kind       string
	Metadata   struct {
		Name, Namespace     string
		Labels, Annotations map[string]string
	}
	Spec                         *spec             `yaml:",omitempty"`
	Data                         map[string]string // of a ConfigMap
	AutomountServiceAccountToken *bool             `yaml:"automountServiceAccountToken"`
	Rules                        []rule            // of a Role
}

type rule struct{ Resources, ResourceNames, Verbs []string }

// UnmarshalYAML reads what the decoder would spell otherwise.
func (r *rule) UnmarshalYAML(node *yamlv3.Node) error {
	var read struct {
		Resources, Verbs []string
		ResourceNames    []string `yaml:"resourceNames"`
	}
	err := node.Decode(&read)
	*r = rule{Resources: read.Resources, ResourceNames: read.ResourceNames, Verbs: read.Verbs}
	return err
}

// spec is that of a Deployment and a Job, mostly.
type spec struct {
	Replicas                int
	ProgressDeadlineSeconds int `yaml:"progressDeadlineSeconds"`
	Template                struct {
		Metadata struct{ Labels, Annotations map[string]string }
		Spec     pod
	}
	TTLSecondsAfterFinished *int   `yaml:"ttlSecondsAfterFinished"`
	BackoffLimit            int    `yaml:"backoffLimit"`
	PodReplacementPolicy    string `yaml:"podReplacementPolicy"`
	PodFailurePolicy        struct {
		Rules []failureRule
	} `yaml:"podFailurePolicy"`
}

type failureRule struct {
	Action          string
	OnPodConditions []map[string]string `yaml:"onPodConditions"`
	OnExitCodes     struct {
		ContainerName string `yaml:"containerName"`
		Operator      string
		Values        []int
	} `yaml:"onExitCodes"`
}

type pod struct {
	ServiceAccountName            string      `yaml:"serviceAccountName"`
	AutomountServiceAccountToken  *bool       `yaml:"automountServiceAccountToken"`
	EnableServiceLinks            *bool       `yaml:"enableServiceLinks"`
	TerminationGracePeriodSeconds int         `yaml:"terminationGracePeriodSeconds"`
	RestartPolicy                 string      `yaml:"restartPolicy"`
	InitContainers                []container `yaml:"initContainers"`
	Containers                    []container
	Volumes                       []struct {
		Name      string
		Projected any
	}
	TopologySpreadConstraints []any `yaml:"topologySpreadConstraints"`
}

type container struct {
	Name, Image string
	Args        []string
	Env         []struct{ Name, Value string }
	EnvFrom     []struct {
		SecretRef struct{ Name string } `yaml:"secretRef"`
	} `yaml:"envFrom"`
	StartupProbe             *probe `yaml:"startupProbe"`
	LivenessProbe            *probe `yaml:"livenessProbe"`
	ReadinessProbe           *probe `yaml:"readinessProbe"`
	TerminationMessagePolicy string `yaml:"terminationMessagePolicy"`
	Resources                struct{ Requests, Limits map[string]string }
	SecurityContext          struct {
		ReadOnlyRootFilesystem bool `yaml:"readOnlyRootFilesystem"`
	} `yaml:"securityContext"`
	VolumeMounts []struct {
		Name      string
		MountPath string `yaml:"mountPath"`
		ReadOnly  bool   `yaml:"readOnly"`
	} `yaml:"volumeMounts"`
}

type probe struct {
	HTTPGet struct{ Path, Port string } `yaml:"httpGet"`
}

func (m *manifest) pod(t *testing.T) *pod {
	t.Helper()
	require.NotNil(t, m.Spec, "%s %s", m.Kind, m.Metadata.Name)
	return &m.Spec.Template.Spec
}

func (p *pod) all() []container { return slices.Concat(p.InitContainers, p.Containers) }

func decodeManifests(t *testing.T, name string, text []byte) (all []manifest) {
	t.Helper()
	decoder := yamlv3.NewDecoder(bytes.NewReader(text))
	for {
		var m manifest
		err := decoder.Decode(&m)
		if errors.Is(err, io.EOF) {
			require.NotEmpty(t, all, name)
			return all
		}
		require.NoError(t, err, name)
		if m.Kind != "" {
			all = append(all, m)
		}
	}
}

func find(t *testing.T, all []manifest, kind, name string) *manifest {
	t.Helper()
	i := slices.IndexFunc(all, func(m manifest) bool { return m.Kind == kind && m.Metadata.Name == name })
	require.GreaterOrEqual(t, i, 0, "there is no %s %s", kind, name)
	return &all[i]
}

// of returns the objects of a kind.
func of(all []manifest, kind string) []manifest {
	return slices.DeleteFunc(slices.Clone(all), func(m manifest) bool { return m.Kind != kind })
}
