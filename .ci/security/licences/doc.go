// Command licences reads a bill of materials (CycloneDX, JSON) from standard input, lists the licence of each module in it, and fails
// where one is unknown, or is none that may be part of a program under Apache-2.0.
//
// It goes by what was found in the modules' licence files. It gives no legal advice.
package main
