package pgserver

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
)

// User is the name of the superuser that URLs log in as.
const User = "postgres"

// Server is a running private server. Its owner calls Close. The methods may
// be called from several goroutines.
type Server struct {
	options  Options
	runAs    account
	run      *runDir
	base     string // keeps data, password, settings and log
	baseLock *os.File
	password string
	port     int

	mu      sync.Mutex
	process *process
}

// Start makes a data directory where there is none yet, starts the server and
// returns when it accepts connections. When ctx ends first, or anything fails,
// nothing is left behind. After that ctx has no effect on the server.
func Start(ctx context.Context, options Options) (*Server, error) {
	s, err := prepare(ctx, options)
	if err != nil {
		return nil, fmt.Errorf("start private PostgreSQL: %w", err)
	}
	if err := s.firstLaunch(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("start private PostgreSQL: %w", err), s.release())
	}
	return s, nil
}

// prepare finds binaries and makes the directories.
func prepare(ctx context.Context, options Options) (*Server, error) {
	runAs, err := serverAccount()
	if err != nil {
		return nil, err
	}
	if options.Binaries == (Binaries{}) {
		if options.Binaries, err = Find(ctx); err != nil {
			return nil, err
		}
	}
	if options.Dir != "" {
		if options.Dir, err = filepath.Abs(options.Dir); err != nil {
			return nil, fmt.Errorf("resolve %s: %w", options.Dir, err)
		}
	}
	clearLeftovers(ctx, runAs, options.Binaries)
	s := &Server{options: options, runAs: runAs}
	if s.run, err = newRunDir(ctx, runAs, options.Dir, options.Durable); err != nil {
		return nil, err
	}
	s.base = cmp.Or(options.Dir, s.run.path)
	if err := s.prepareBase(ctx); err != nil {
		return nil, errors.Join(err, s.release())
	}
	return s, nil
}

// prepareBase locks the directory that keeps the data, and fills it when it
// is new.
func (s *Server) prepareBase(ctx context.Context) error {
	if s.options.Dir != "" {
		if err := s.lockDir(ctx); err != nil {
			return err
		}
	}
	if _, err := os.Stat(s.dataFile("PG_VERSION")); errors.Is(err, os.ErrNotExist) {
		return s.initialize(ctx)
	}
	return s.reopen()
}

// lockDir makes the directory of Options.Dir and keeps other owners out.
func (s *Server) lockDir(ctx context.Context) error {
	if err := os.MkdirAll(s.base, s.runAs.dirMode()); err != nil {
		return fmt.Errorf("make data directory: %w", err)
	}
	if err := s.runAs.reach(ctx, s.base); err != nil {
		return err
	}
	lock, err := lockFile(filepath.Join(s.base, "lock"))
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return fmt.Errorf("%s is in use by another process: stop that one, or choose another directory", s.base)
	}
	if err != nil {
		return err
	}
	s.baseLock = lock
	return nil
}

// initialize runs initdb with a new password. A data directory that an
// interrupted initdb left is made anew.
func (s *Server) initialize(ctx context.Context) error {
	s.password = rand.Text()
	passwordFile := filepath.Join(s.base, "password")
	if err := os.WriteFile(passwordFile, []byte(s.password+"\n"), 0o600); err != nil {
		return fmt.Errorf("keep password: %w", err)
	}
	data := s.dataFile("")
	if err := os.RemoveAll(data); err != nil {
		return fmt.Errorf("clear data directory: %w", err)
	}
	if err := os.Mkdir(data, 0o700); err != nil {
		return fmt.Errorf("make data directory: %w", err)
	}
	if err := errors.Join(s.runAs.own(passwordFile), s.runAs.own(data)); err != nil {
		return err
	}
	initdb, _ := s.options.Binaries.Path("initdb")
	cmd := s.runAs.command(ctx, initdb, "--pgdata", data, "--username", User, "--pwfile", passwordFile,
		"--auth-local", "trust", "--auth-host", "scram-sha-256", "--encoding", "UTF8", "--no-locale", "--no-sync")
	// By a signal that it obeys it ends the server it is using in order; killed, it would leave that one's shared memory.
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	var output strings.Builder
	cmd.Stdout, cmd.Stderr = &output, &output
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("run initdb: %w", err)
	}
	if err := errors.Join(s.run.guard.watch("TERM", cmd.Process.Pid), cmd.Wait(), s.run.guard.forget()); err != nil {
		return fmt.Errorf("run initdb: %w: %s", err, strings.TrimSpace(output.String()))
	}
	return nil
}

// reopen checks a data directory that an earlier Start has made.
func (s *Server) reopen() error {
	version, err := os.ReadFile(s.dataFile("PG_VERSION"))
	if err != nil {
		return fmt.Errorf("read version of the data: %w", err)
	}
	if made := strings.TrimSpace(string(version)); made != strconv.Itoa(s.options.Binaries.Major) {
		return fmt.Errorf("%s was made by PostgreSQL %s and the binaries found are %s: set %s to the old ones, or remove the directory",
			s.base, made, s.options.Binaries.Version, EnvBin)
	}
	if err := s.runAs.checkOwner(s.dataFile("")); err != nil {
		return err
	}
	password, err := os.ReadFile(filepath.Join(s.base, "password"))
	if err != nil {
		return fmt.Errorf("read password of the server: %w", err)
	}
	s.password = strings.TrimSpace(string(password))
	return nil
}

// URL returns the address of a database on the loopback interface, password
// included: for programs, not for logs.
func (s *Server) URL(database string) string {
	address := url.URL{
		Scheme:   "postgres",
		User:     url.UserPassword(User, s.password),
		Host:     net.JoinHostPort("127.0.0.1", strconv.Itoa(s.port)),
		Path:     "/" + database,
		RawQuery: "sslmode=disable",
	}
	return address.String()
}

// SocketURL returns the address of a database on the unix socket, which asks
// for no password and which only this process's user (and root) can reach.
func (s *Server) SocketURL(database string) string {
	query := url.Values{"host": {s.run.socketDir()}, "port": {strconv.Itoa(s.port)}, "sslmode": {"disable"}}
	address := url.URL{Scheme: "postgres", User: url.User(User), Path: "/" + database, RawQuery: query.Encode()}
	return address.String()
}

// Port returns the port on the loopback interface, the same after a restart.
func (s *Server) Port() int { return s.port }

// Binaries returns the programs that the server runs from.
func (s *Server) Binaries() Binaries { return s.options.Binaries }

// LogPath returns the path of the server's log.
func (s *Server) LogPath() string { return filepath.Join(s.base, "log") }

// Close stops the server, in the fast way, and removes what is temporary;
// with Options.Dir the data stays. When ctx ends first it stops at once. A
// closed server cannot be restarted.
func (s *Server) Close(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return errors.Join(s.stop(ctx), s.release())
}

// release gives back everything that is not the server's process.
func (s *Server) release() error {
	err := s.run.remove()
	if s.baseLock != nil {
		err = errors.Join(err, s.baseLock.Close())
		s.baseLock = nil
	}
	return err
}

// dataFile returns a path inside of the data directory.
func (s *Server) dataFile(name string) string { return filepath.Join(s.base, "data", name) }
