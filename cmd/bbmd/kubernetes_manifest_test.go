package main_test

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// manifest is as much of Kubernetes' and kustomize's types as deploy/kubernetes uses.
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

	// Of kustomize.
	Namespace          string
	Resources          []string
	Components         []string
	ConfigMapGenerator []struct {
		Name  string
		Files []string
	} `yaml:"configMapGenerator"`
	Images []struct {
		Name   string
		NewTag string `yaml:"newTag"`
	}
	Patches []struct {
		Path   string
		Target struct {
			Kind          string
			LabelSelector string `yaml:"labelSelector"`
		}
	}
	Replacements []struct {
		Source  replaced
		Targets []struct {
			Select     struct{ Kind string }
			FieldPaths []string `yaml:"fieldPaths"`
			Options    cut
		}
	}
}

type replaced struct {
	Kind      string
	FieldPath string `yaml:"fieldPath"`
	Options   cut
}

type cut struct {
	Delimiter string
	Index     int
}

// spec is that of a Deployment, a Job and a Service.
type spec struct {
	Replicas                int
	ProgressDeadlineSeconds int `yaml:"progressDeadlineSeconds"`
	Selector                any // labels in a Service, matchLabels in a Deployment
	Strategy                struct {
		Type          string
		RollingUpdate map[string]int `yaml:"rollingUpdate"`
	}
	Template struct {
		Metadata struct{ Labels, Annotations map[string]string }
		Spec     pod
	}
	TTLSecondsAfterFinished int    `yaml:"ttlSecondsAfterFinished"`
	BackoffLimit            int    `yaml:"backoffLimit"`
	PodReplacementPolicy    string `yaml:"podReplacementPolicy"`
	PodFailurePolicy        struct {
		Rules []failureRule
	} `yaml:"podFailurePolicy"`
	PublishNotReadyAddresses bool `yaml:"publishNotReadyAddresses"`
	Ports                    []struct {
		Name       string
		Port       int
		TargetPort string `yaml:"targetPort"`
		Protocol   string
	}
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
	SecurityContext               security    `yaml:"securityContext"`
	InitContainers                []container `yaml:"initContainers"`
	Containers                    []container
	Volumes                       []struct {
		Name      string
		ConfigMap *struct{ Name string } `yaml:"configMap"`
		EmptyDir  *struct{}              `yaml:"emptyDir"`
	}
}

type security struct {
	RunAsNonRoot             bool                  `yaml:"runAsNonRoot"`
	RunAsUser                int                   `yaml:"runAsUser"`
	RunAsGroup               int                   `yaml:"runAsGroup"`
	FSGroup                  int                   `yaml:"fsGroup"`
	AllowPrivilegeEscalation *bool                 `yaml:"allowPrivilegeEscalation"`
	ReadOnlyRootFilesystem   bool                  `yaml:"readOnlyRootFilesystem"`
	SeccompProfile           struct{ Type string } `yaml:"seccompProfile"`
	Capabilities             struct{ Drop, Add []string }
}

type container struct {
	Name, Image string
	Args        []string
	Env         []struct{ Name, Value string }
	EnvFrom     []struct {
		SecretRef struct{ Name string } `yaml:"secretRef"`
	} `yaml:"envFrom"`
	Ports []struct {
		Name          string
		ContainerPort int `yaml:"containerPort"`
		Protocol      string
	}
	StartupProbe             *probe `yaml:"startupProbe"`
	LivenessProbe            *probe `yaml:"livenessProbe"`
	ReadinessProbe           *probe `yaml:"readinessProbe"`
	TerminationMessagePolicy string `yaml:"terminationMessagePolicy"`
	Resources                struct{ Requests, Limits map[string]string }
	SecurityContext          security `yaml:"securityContext"`
	VolumeMounts             []struct {
		Name      string
		MountPath string `yaml:"mountPath"`
		ReadOnly  bool   `yaml:"readOnly"`
	} `yaml:"volumeMounts"`
}

type probe struct {
	HTTPGet          struct{ Path, Port string } `yaml:"httpGet"`
	PeriodSeconds    int                         `yaml:"periodSeconds"`
	TimeoutSeconds   int                         `yaml:"timeoutSeconds"`
	FailureThreshold int                         `yaml:"failureThreshold"`
}

func (m *manifest) pod(t *testing.T) *pod {
	t.Helper()
	require.NotNil(t, m.Spec, "%s %s", m.Kind, m.Metadata.Name)
	return &m.Spec.Template.Spec
}
