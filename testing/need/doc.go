// Package need gives tests the programs of others that they run, and writes those of their own ([Executable]).
//
// [Program] returns the path of one. Where a machine has none that works, the
// test fails if CI is set in the environment, since a machine that decides
// about a change must not leave anything out in silence; elsewhere the test is
// skipped, in one line that says what to install. `make programs`, which
// `make test` runs first, installs what is missing where it may (see the
// program in provide).
//
// It knows each program that it gives: of which packages of Debian it is, and
// how to see that it works, so that a shim which finds no interpreter, a
// program that is too old, or one without its driver counts as missing. It
// refuses a name that is not in its list, for that would be a program that
// nobody installs.
//
// Go reuses the result of `go test ./package` for as long as nothing of this
// repository changes: after an installation by hand, -count=1 tries again.
// `make test` always does.
package need
