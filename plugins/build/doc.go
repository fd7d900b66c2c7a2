// Package build makes a bbmd with further Works compiled in, from the modules that
// they are in: what `bbmd build` does.
//
// It writes a module of its own, with the source of bbmd's command and an import of
// each package, lets the go command build it, and asks the program that comes out which
// Works it has. It guarantees that an output file is replaced only by a program that
// starts and has Works of every module that was asked for. It refuses paths that
// cannot be a module's, and leaves all questions of versions to the go command.
package build
