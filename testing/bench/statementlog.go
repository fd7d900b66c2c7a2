package bench

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/bbmd-dev/bbmd/internal/pgserver"
)

// statementLog is a database whose statements all are in the server's log.
type statementLog struct {
	*database

	since time.Time
	from  int64 // place in the log
}

func newStatementLog(ctx context.Context, server *pgserver.Server, name string) (*statementLog, error) {
	d, err := newDatabase(ctx, server, name)
	if err != nil {
		return nil, err
	}
	if err := d.run(ctx, "ALTER DATABASE "+name+" SET log_statement = 'all'"); err != nil { // of sessions from now on: not of d.admin
		d.close(ctx)
		return nil, err
	}
	return &statementLog{database: d}, nil
}

// statements counts the statements in the log from l.from on, and returns the log's size.
func (l *statementLog) statements() (count int, size int64, err error) {
	log, err := os.Open(l.server.LogPath())
	if err != nil {
		return 0, 0, fmt.Errorf("read the server's log: %w", err)
	}
	defer log.Close() //nolint:errcheck // only read
	if _, err := log.Seek(l.from, io.SeekStart); err != nil {
		return 0, 0, fmt.Errorf("read the server's log: %w", err)
	}
	content, err := io.ReadAll(log)
	if err != nil {
		return 0, 0, fmt.Errorf("read the server's log: %w", err)
	}
	for text := range strings.SplitSeq(string(content), "\n") {
		_, rest, found := strings.Cut(text, "] "+l.name+" ")
		if found && (strings.Contains(rest, ": LOG:  statement: ") || strings.Contains(rest, ": LOG:  execute ")) {
			count++
		}
	}
	return count, l.from + int64(len(content)), nil
}

// begin forgets the statements so far.
func (l *statementLog) begin() error {
	_, size, err := l.statements()
	l.since, l.from = time.Now(), size
	return err
}

// connections returns how many sessions others have in the database.
func (l *statementLog) connections(ctx context.Context) (count int, err error) {
	err = l.admin.QueryRow(ctx, "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()").Scan(&count)
	if err != nil {
		return 0, fmt.Errorf("count sessions: %w", err)
	}
	return count, nil
}
