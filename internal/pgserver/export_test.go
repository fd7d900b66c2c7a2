package pgserver

// What the tests look at from inside.

// RunPath returns the server's temporary directory.
func (s *Server) RunPath() string { return s.run.path }

// GuardPID returns the process id of the server's guard.
func (s *Server) GuardPID() int { return s.run.guard.cmd.Process.Pid }

var (
	// FirstOf is the search among given directories.
	FirstOf = firstOf
	// InstallDirs is where systems install servers, below a root.
	InstallDirs = installDirs
	// ParseVersion reads `postgres --version`.
	ParseVersion = parseVersion
)
