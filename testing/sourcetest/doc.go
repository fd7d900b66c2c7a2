// Package sourcetest is the contract that every notify.Source passes, whatever it
// gets its events from:
//
//	func TestListener(t *testing.T) {
//		sourcetest.Run(t, sourcetest.Subject{New: newListener})
//	}
//
// It checks the promises of notify.Source against a real server: a resync first
// after each connect, nothing missed across sessions that are ended at random
// while others commit, nothing for a transaction that was rolled back, silence
// while idle, and recovery from a server that stops, crashes, or is cut off
// without a word.
//
// A test's consumer does what an executor does: events raise a flag, and the
// state is read by a scan. "Nothing missed" means that after the last change a
// scan begins that sees it, without any other reason to scan.
package sourcetest
