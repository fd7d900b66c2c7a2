package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/bbmd-dev/bbmd/internal/control"
	"github.com/bbmd-dev/bbmd/internal/pgserver"
	"github.com/bbmd-dev/bbmd/internal/terminal"
)

// Options say how the story is told.
type Options struct {
	Screen  terminal.Screen
	Program string // path of bbmd
	Command string // how the user has called it
	Scale   int    // of pgbench: 100,000 rows each
	Keep    bool   // leave server and daemon running, until ctx ends
}

// longest bounds the story, lest it waits for ever for what does not happen.
const longest = 10 * time.Minute

// Run tells the story. It returns the cause of ctx when that ends before the story does.
func Run(ctx context.Context, o Options) (err error) {
	s := &story{options: o, teller: newTeller(o.Screen)}
	defer func() { err = errors.Join(err, s.clear(ctx)) }()
	told, cancel := context.WithTimeoutCause(ctx, longest, fmt.Errorf("the demo takes longer than %v", longest))
	defer cancel()
	if err := s.tell(told); err != nil {
		return err
	}
	if o.Keep {
		return s.keep(ctx)
	}
	s.whatNext()
	return nil
}

// story is the state of the demo.
type story struct {
	*teller

	options Options
	server  *pgserver.Server
	daemon  *daemonProcess
	conn    *pgx.Conn // of the user in the story
	audience
}

// Step by step.
func (s *story) tell(ctx context.Context) error {
	s.intro()
	for _, step := range []func(context.Context) error{
		s.startServer, s.makeTable, s.startDaemon, s.enqueue, s.pause, s.kill, s.hurry, s.finish, s.prove,
	} {
		if err := step(ctx); err != nil {
			s.leave()
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			return s.withLog(err)
		}
	}
	return nil
}

// withLog adds what the daemon said last.
func (s *story) withLog(err error) error {
	if s.daemon == nil {
		return err
	}
	return fmt.Errorf("%w\nthe daemon's log ends so:\n%s", err, s.daemon.tail())
}

// clear ends what runs and removes what was made.
func (s *story) clear(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 20*time.Second)
	defer cancel()
	s.leave()
	var problems []error
	if s.daemon != nil {
		problems = append(problems, s.daemon.stop(ctx))
	}
	if s.conn != nil {
		problems = append(problems, s.conn.Close(ctx))
	}
	if s.server != nil {
		problems = append(problems, s.server.Close(ctx))
	}
	return errors.Join(problems...)
}

func (s *story) startServer(ctx context.Context) (err error) {
	s.step("A private PostgreSQL")
	began := time.Now()
	if s.server, err = pgserver.Start(ctx, pgserver.Options{Durable: true}); err != nil {
		return err
	}
	if s.conn, err = s.connect(ctx); err != nil {
		return err
	}
	s.fact("PostgreSQL %s, on port %d of this machine alone, in %s", s.server.Binaries().Version, s.server.Port(), terminal.Duration(time.Since(began)))
	return nil
}

// connect opens a session as the user in the story.
func (s *story) connect(ctx context.Context) (*pgx.Conn, error) {
	cfg, err := pgx.ParseConfig(s.server.SocketURL(database))
	if err != nil {
		return nil, fmt.Errorf("connect to the private server: %w", err)
	}
	cfg.RuntimeParams["application_name"] = "you"
	conn, err := pgx.ConnectConfig(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("connect to the private server: %w", err)
	}
	return conn, nil
}

const (
	database  = "postgres"
	migration = "add_one"
	table     = "pgbench_accounts"
	// batches is into how many batches the table is cut, while nobody says
	// otherwise: many small ones, so that there is time to see them, to pause them,
	// and to kill their daemon, also on a fast machine.
	batches = 40_000
	// greater is the size of batches, in rows, at which the rest is done.
	greater = 1000
)

func (s *story) rows() int64 { return int64(s.options.Scale) * 100_000 }

func (s *story) startDaemon(ctx context.Context) (err error) {
	s.step("The daemon")
	config := filepath.Join(s.dir(), "bbmd.yaml")
	if err := os.WriteFile(config, []byte("http: {listen: \"127.0.0.1:0\"}\nlog: {format: json}\n"), 0o600); err != nil {
		return fmt.Errorf("configure the daemon: %w", err)
	}
	began := time.Now()
	if err := s.spawn(ctx, config); err != nil {
		return err
	}
	s.fact("bbmd run, process %d, listens after %s", s.daemon.pid(), terminal.Duration(time.Since(began)))
	s.fact("It has made its control schema, bbm, and waits for events. Idle, it sends no statement.")
	return nil
}

// dir is the server's own directory, which goes away with the server, even when the demo is killed.
func (s *story) dir() string { return filepath.Dir(s.server.LogPath()) }

// spawn starts the daemon, and returns when it listens.
func (s *story) spawn(ctx context.Context, config string) (err error) {
	s.daemon, err = startDaemon(s.options.Program, []string{"run", "--config", config}, s.dir(), s.server.URL(database))
	if err != nil {
		return err
	}
	return s.daemon.await(ctx, "listening for events")
}

func (s *story) enqueue(ctx context.Context) error {
	s.step("A migration, in plain SQL")
	s.fact("The statement is not idempotent: a row that is changed twice, or never, will show.")
	size := (s.rows() + batches - 1) / batches
	sql := fmt.Sprintf(`SELECT bbm.enqueue('execute_sql', '%s', '{"sql":
  "UPDATE %s SET abalance = abalance + 1 WHERE :range"}',
  name => '%s', batch_size => %d, target_duration => '0',
  parallelism => 2);`, table, table, migration, size)
	s.sql(sql)
	if _, err := s.conn.Exec(ctx, sql); err != nil {
		return fmt.Errorf("enqueue: %w", err)
	}
	if err := s.arrive(ctx, s.server.URL(database), s.teller); err != nil {
		return err
	}
	seen, err := s.until(ctx, s.daemon, func(p *control.Progress) bool { return p.StartedAt != nil })
	if err != nil {
		return err
	}
	s.fact("It was running %s later: the INSERT has notified the daemon.", terminal.Duration(seen.StartedAt.Sub(seen.CreatedAt)))
	return nil
}

func (s *story) keep(ctx context.Context) error {
	s.addresses()
	select {
	case <-ctx.Done():
		_, _ = io.WriteString(s, "\n")
		return nil
	case <-s.daemon.ended:
		return s.withLog(errors.New("the daemon has ended"))
	}
}
