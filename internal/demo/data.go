package demo

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/bbmd-dev/bbmd/internal/terminal"
)

// makeTable makes the tables of pgbench: by pgbench itself, where it is there.
func (s *story) makeTable(ctx context.Context) error {
	s.step(fmt.Sprintf("A table with %s rows", terminal.Count(s.rows())))
	began := time.Now()
	maker := "pgbench -i"
	if path, ok := s.server.Binaries().Path("pgbench"); ok {
		if err := s.pgbench(ctx, path); err != nil {
			return err
		}
	} else {
		maker = "SQL, as there is no pgbench here,"
		if err := s.likePgbench(ctx); err != nil {
			return err
		}
	}
	var rows int64
	var size string
	err := s.conn.QueryRow(ctx, "SELECT count(*), pg_size_pretty(pg_total_relation_size('"+table+"')) FROM "+table).Scan(&rows, &size)
	if err != nil {
		return fmt.Errorf("look at the table: %w", err)
	}
	if rows != s.rows() {
		return fmt.Errorf("the table has %d rows, and should have %d", rows, s.rows())
	}
	s.fact("%s, made by %s in %s: %s rows, %s", table, maker, terminal.Duration(time.Since(began)), terminal.Count(rows), size)
	return nil
}

func (s *story) pgbench(ctx context.Context, path string) error {
	socket, err := pgx.ParseConfig(s.server.SocketURL(database))
	if err != nil {
		return fmt.Errorf("run pgbench: %w", err)
	}
	cmd := exec.CommandContext(ctx, path, "--initialize", "--quiet", "--scale", strconv.Itoa(s.options.Scale)) //nolint:gosec // it is the server's own
	cmd.Dir = s.dir()
	cmd.Env = append(environment(),
		"PGHOST="+socket.Host, "PGPORT="+strconv.Itoa(int(socket.Port)), "PGUSER="+socket.User, "PGDATABASE="+database)
	cmd.WaitDelay = time.Second
	if output, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("run pgbench: %w: %s", err, strings.TrimSpace(string(output)))
	}
	return nil
}

// environment returns what programs need of this process's environment, without
// all that would lead them to other servers or settings.
func environment() []string {
	var clean []string
	for _, name := range []string{"PATH", "HOME", "TMPDIR", "TZ", "LANG", "GORACE", "GOCOVERDIR"} {
		if value, ok := os.LookupEnv(name); ok {
			clean = append(clean, name+"="+value)
		}
	}
	return clean
}

// likePgbench makes the same tables by SQL.
func (s *story) likePgbench(ctx context.Context) error {
	_, err := s.conn.Exec(ctx, strings.ReplaceAll(`
		CREATE TABLE pgbench_branches (bid int PRIMARY KEY, bbalance int, filler char(88)) WITH (fillfactor = 100);
		CREATE TABLE pgbench_tellers (tid int PRIMARY KEY, bid int, tbalance int, filler char(84)) WITH (fillfactor = 100);
		CREATE TABLE pgbench_accounts (aid int NOT NULL, bid int, abalance int, filler char(84)) WITH (fillfactor = 100);
		CREATE TABLE pgbench_history (tid int, bid int, aid int, delta int, mtime timestamp, filler char(22));
		INSERT INTO pgbench_branches (bid, bbalance) SELECT g, 0 FROM generate_series(1, @scale) g;
		INSERT INTO pgbench_tellers (tid, bid, tbalance) SELECT g, (g - 1) / 10 + 1, 0 FROM generate_series(1, 10 * @scale) g;
		INSERT INTO pgbench_accounts (aid, bid, abalance, filler) SELECT g, (g - 1) / 100000 + 1, 0, '' FROM generate_series(1, 100000 * @scale) g;
		ALTER TABLE pgbench_accounts ADD PRIMARY KEY (aid);
		ANALYZE pgbench_accounts`, "@scale", strconv.Itoa(s.options.Scale)))
	if err != nil {
		return fmt.Errorf("make the tables: %w", err)
	}
	return nil
}
