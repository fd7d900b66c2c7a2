// Package debian installs Debian's packages where it may: as root, or with a
// sudo that asks for no password. Derivatives of Debian, such as Ubuntu, have
// what it needs as well.
//
// It never asks a question, neither apt-get's nor sudo's, and waits for its
// turn when another installation is on its way. It does nothing on a system
// without apt-get, or for a user who may not install, and says so.
package debian
