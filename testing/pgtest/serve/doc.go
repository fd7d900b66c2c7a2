// Command serve runs a command, mostly `go test`, beside one PostgreSQL server
// that the tests of all packages share by testing/pgtest. The server ends with
// the command, and its exit code is the command's. A server that the
// environment already names is used and left alone.
package main
