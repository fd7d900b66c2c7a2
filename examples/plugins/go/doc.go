// Command go is a process plugin in Go: it fills phone_e164 with phone in
// international form. Its Work could be compiled into bbmd as it is.
package main
