// Command reach asks whether the vulnerability database that govulncheck reads can be reached: the one that GOVULNDB names, else
// vuln.go.dev. It ends with 1 where not, and says why.
package main
