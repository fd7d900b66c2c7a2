// Package fakepooler stands in front of a real server as connection poolers do, for
// tests of what must see through one: no pooler is installed, and both ways in
// which one chooses a server connection can be had at will.
//
// It authenticates nobody, makes up the process number that a client is told, and knows no settings of
// a session's start, as poolers do. By transaction it relays whatever the protocol has but COPY, and gives a server connection
// back when no transaction is open on it any more; a client that goes before that takes its server
// connection with it.
package fakepooler
