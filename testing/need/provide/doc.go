// Command provide makes sure that the programs of others which tests run are
// there; `make programs` runs it, and `make browser-test` for Chromium alone, by that name as its argument.
//
// What works is left alone. What is missing it installs, as packages of
// Debian, where it may: as root, or with a sudo that asks for no password.
// What is still missing then it lists, with the way out and with what is not
// tested for want of it. That is a failure where CI is set, as it is of the
// tests; elsewhere they skip it.
package main
