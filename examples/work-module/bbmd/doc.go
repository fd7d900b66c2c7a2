// Command bbmd runs the Works of this module, and those that ship with bbmd. It
// is configured as bbmd is, from a file and the environment.
package main
