// Command matrix runs tests on one major version of PostgreSQL after another:
//
//	matrix 13 18 -- go test ./...
//
// For each it finds or fetches a server (internal/pgserver/provide), starts one
// for all packages as testing/pgtest/serve does, and says when the tests are
// over what became of them, in a line, and beneath it which tests were not run
// and why: nothing is left out in silence. It goes on with the next version
// where one has failed, and fails in the end.
//
// `make test-matrix` runs it without the race detector: what differs between
// the runs is the server, and the memory of our processes is what `make test`
// looks at.
package main
