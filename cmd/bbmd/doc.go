// Command bbmd looks after the schema and the data of PostgreSQL databases.
//
// There is one file per subcommand: it parses, builds, calls, and returns an
// error, which [exitCode] turns into the process's exit code. What they share
// is the type app.
package main
