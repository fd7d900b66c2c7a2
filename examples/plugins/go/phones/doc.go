// Package phones has a Work that fills phone_e164 with phone in international
// form. It is the same whether it is compiled into bbmd or served by the program
// beside it.
//
// It guarantees that a number which somebody else changes meanwhile is not
// overwritten, and refuses a prefix that does not begin with +.
package phones
