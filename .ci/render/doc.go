// Command render prints what a kustomization or a Helm chart makes, by the
// libraries that `kustomize build` and `helm template` are made of. The tests
// call it by the package testing/render.
//
//	render kustomization DIRECTORY
//	render chart [FLAGS] DIRECTORY
//	render path
//
// A chart is linted first, and a warning refuses it, as helm lint --strict
// does. Nothing is fetched and no cluster is asked: a chart's dependencies
// have to be in it, and lookup finds nothing. The last form prints where the
// program itself is, which `go run` keeps in its cache.
package main
