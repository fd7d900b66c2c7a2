package kube_test

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// metadata is what all objects have.
type metadata struct {
	Name              string
	UID               string
	Labels            map[string]string
	DeletionTimestamp string
}

type condition struct{ Type, Status, Reason, Message string }

// holds reports whether a condition is true.
func holds(all []condition, kind string) bool {
	return slices.ContainsFunc(all, func(c condition) bool { return c.Type == kind && c.Status == "True" })
}

type pod struct {
	Metadata metadata
	Spec     struct {
		AutomountServiceAccountToken *bool
		InitContainers, Containers   []struct{ Name, Image string }
		Volumes                      []map[string]any
	}
	Status struct {
		Phase                                    string
		PodIP                                    string
		Conditions                               []condition
		InitContainerStatuses, ContainerStatuses []containerStatus
	}
}

type containerStatus struct {
	Name, ContainerID string
	RestartCount      int
	State, LastState  struct {
		Running    *struct{ StartedAt string }
		Waiting    *struct{ Reason, Message string }
		Terminated *struct {
			ExitCode                    int
			Reason, Message, FinishedAt string
		}
	}
}

func (p pod) ready() bool {
	return p.Metadata.DeletionTimestamp == "" && holds(p.Status.Conditions, "Ready")
}

// container returns the status of a container, which may not have started.
func (p pod) container(name string) containerStatus {
	all := slices.Concat(p.Status.InitContainerStatuses, p.Status.ContainerStatuses)
	if i := slices.IndexFunc(all, func(c containerStatus) bool { return c.Name == name }); i >= 0 {
		return all[i]
	}
	return containerStatus{}
}

// held reports whether a pod's init container runs.
func (p pod) held() bool { return p.container("wait-for-schema").State.Running != nil }

// of reports whether a pod's containers are from the image of a release.
func (p pod) of(image string) bool {
	return slices.ContainsFunc(slices.Concat(p.Spec.InitContainers, p.Spec.Containers), func(c struct{ Name, Image string }) bool { return c.Image == image })
}

func (c containerStatus) id() string { return strings.TrimPrefix(c.ContainerID, "containerd://") }

type job struct {
	Metadata metadata
	Status   struct {
		Active, Succeeded, Failed, Terminating int
		Conditions                             []condition
	}
}

type list[T any] struct{ Items []T }

// get asks Kubernetes' API.
func get[T any](t *testing.T, r *rig, path string) (value T) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://127.0.0.1:"+r.env["API_PORT"]+path, http.NoBody)
	require.NoError(t, err)
	request.Header.Set("Authorization", "Bearer "+r.token)
	response, err := r.client.Do(request)
	require.NoError(t, err)
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, response.StatusCode, "%s: %s", path, body)
	require.NoError(t, json.Unmarshal(body, &value), path)
	return value
}

// login makes the client that Kubernetes' API lets in.
func (r *rig) login() error {
	pem, err := os.ReadFile(filepath.Join(r.run, "certs", "ca.crt"))
	if err != nil {
		return err
	}
	tokens, err := os.ReadFile(filepath.Join(r.run, "tokens.csv"))
	if err != nil {
		return err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	r.token, _, _ = strings.Cut(string(tokens), ",")
	r.client = &http.Client{Timeout: patience, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}}
	return nil
}
