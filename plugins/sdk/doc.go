// Package sdk lets a program of its own be a process plugin with Works written
// in Go, the same that could be compiled into bbmd:
//
//	func main() {
//		if err := sdk.Serve(normalizeEmail); err != nil {
//			fmt.Fprintln(os.Stderr, err)
//			os.Exit(1)
//		}
//	}
//
// A Work with SQL is the fast form here as well: its statement travels with the
// answer. A Work with Run gets a transaction whose statements bbmd runs in the
// batch's own. Values travel as PostgreSQL's texts, which pgx turns into Go's
// and back.
//
// It guarantees that the program ends when bbmd does, and that what it prints to
// standard output after [Serve] began goes to bbmd's log. It refuses, with an
// error and never in silence, what needs a connection: nested transactions,
// COPY, batches, large objects and prepared statements; Conn returns nil.
package sdk
