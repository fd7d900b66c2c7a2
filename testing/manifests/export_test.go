package manifests

// Problems is what Strict would fail a test with.
var Problems = problems
