package pgserver

// Options say what server to start. The zero Options are a server for tests:
// temporary, on a free port, without fsync.
type Options struct {
	// Binaries to run. Defaults to what Find returns.
	Binaries Binaries
	// Dir keeps the data for the next Start with the same Dir; it is made
	// where it does not exist. Defaults to a temporary directory, which goes
	// away with the server; without Durable, TMPDIR and a lack of memory it
	// lies in memory.
	Dir string
	// Port of the loopback interface. Defaults to a free one, outside of the
	// range that the system gives to outgoing connections, so that no client
	// takes it while the server is down.
	Port int
	// Durable makes commits survive a crash of the machine (fsync and
	// full_page_writes), as a measurement or a user's own data need. A killed
	// server loses nothing either way.
	Durable bool
	// Settings are further settings of postgresql.conf and win over the
	// defaults of this package.
	Settings map[string]string
}
