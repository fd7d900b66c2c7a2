// Package logging makes the process's logger from the configuration: colored
// lines on a terminal, JSON elsewhere.
//
// It guarantees that no secret that it can recognise is written: a
// [config.URL] anywhere in a record, a connection string's password in a
// message, a text or an error, and the value of any attribute whose key says
// that it is a secret.
//
// It refuses to be global: the logger is a value, and is passed in.
package logging
