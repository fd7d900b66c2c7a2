package pgstandby

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/bbmd-dev/bbmd/testing/pgtest"
)

// Detach makes the standby receive nothing any more, as a network between the two
// servers may, and returns when that is so. What it has received it replays.
func (s *Standby) Detach(tb testing.TB) {
	tb.Helper()
	db := s.Database("postgres")
	db.Exec(tb, "ALTER SYSTEM SET primary_conninfo = ''") // not in one message: that would be a transaction
	db.Exec(tb, "SELECT pg_reload_conf()")
	db.WaitFor(tb, "SELECT NOT EXISTS (SELECT FROM pg_stat_wal_receiver) AND current_setting('primary_conninfo') = ''")
}

// Promote makes the standby a primary, and returns when it takes writes.
func (s *Standby) Promote(tb testing.TB) {
	tb.Helper()
	db := s.Database("postgres")
	if !pgtest.One[bool](tb, db, "SELECT pg_promote(true, 120)") {
		tb.Fatal("the standby is not promoted")
	}
	db.WaitFor(tb, "SELECT NOT pg_is_in_recovery()")
}

// Primary is the standby, once promoted, as a server of the test. It ends as the standby does.
func (s *Standby) Primary() *pgtest.Server { return &pgtest.Server{Server: s.Server} }

// Rejoin starts a server that was stopped in order, before the standby was promoted, as
// a standby of it, and returns when it streams.
func Rejoin(tb testing.TB, old *pgtest.Server, to *Standby) {
	tb.Helper()
	data := filepath.Join(filepath.Dir(old.LogPath()), "data")
	signal, settings := filepath.Join(data, "standby.signal"), filepath.Join(data, "postgresql.auto.conf")
	if err := os.WriteFile(signal, nil, 0o600); err != nil {
		tb.Fatal(err)
	}
	lines, err := os.ReadFile(settings)
	if err != nil {
		tb.Fatal(err)
	}
	lines = fmt.Appendf(lines, "primary_conninfo = '%s'\n", strings.ReplaceAll(to.URL("postgres")+"&application_name=rejoined", "'", "''"))
	if err := os.WriteFile(settings, lines, 0o600); err != nil { //nolint:gosec // the path is the test server's own
		tb.Fatal(err)
	}
	if err := handOver(data, signal, settings); err != nil {
		tb.Fatal(err)
	}
	if err := old.Restart(tb.Context()); err != nil {
		tb.Fatal(err)
	}
	to.Database("postgres").WaitFor(tb, "SELECT EXISTS (SELECT FROM pg_stat_replication WHERE application_name = 'rejoined' AND state = 'streaming')")
}
