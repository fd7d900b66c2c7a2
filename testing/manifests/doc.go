// Package manifests judges what is shipped for Kubernetes as a cluster would,
// without one.
//
// [Strict] decodes into Kubernetes' own types and asks Kubernetes' own policy of
// pod security. Those are in a module of their own, strict, which is built when
// it is needed: nobody who imports bbmd gets them.
//
// It refuses what it does not know: a kind that does not belong into this
// repository is a failure.
package manifests
