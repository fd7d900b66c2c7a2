// Package render gives tests what a kustomization or a Helm chart makes, so
// that they can look at it.
//
// The renderers are libraries that bring most of Kubernetes' client, so they
// are in a program of a module of its own, .ci/render. `make programs`, which
// `make test` runs first, builds it; else the first call of a test process
// does, which takes a minute or two on a machine that never did. It does what
// `kustomize build`, and `helm lint --strict` with `helm template`, do; it
// asks no cluster and fetches nothing.
package render
