// Command strict reads manifests as Kubernetes' API would, without a cluster.
//
// Each argument is a file of YAML documents. What it finds it prints, a line
// each, and it exits with 1 then: a kind that it does not know, a field that
// the kind does not have or that is there twice, a value of another type, a
// name or a label that Kubernetes refuses, a selector that does not select its
// own pods, and a pod that the restricted profile of pod security does not let
// in. It prints nothing where all is well.
//
// It decodes into the types of Kubernetes and of Prometheus' operator, and judges
// pods by Kubernetes' own policy. Of Flux and Argo CD it knows the fields that
// this repository uses.
//
// It does not know what only a cluster knows: what is there already, and what
// admission webhooks say.
package main
