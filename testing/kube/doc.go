// Package kube holds no code but tests: of the manifests that are shipped, on
// a real Kubernetes, whose pods run bin/bbmd.
//
// It needs what `make kube-test` builds and starts: scripts for a Kubernetes of
// one node, without Docker, whose directory is in BBMD_KUBE_RIG. Without that
// variable, and where nothing is built, all tests are skipped. They start the
// node where it does not run, and stop it then; each test has a namespace, in
// which only restricted pods may run, and a database of its own.
package kube
