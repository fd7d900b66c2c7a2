package kube_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/testing/pgtest"
)

// underWay applies the Job of a release whose second migration is held, and returns its pod in the middle of that.
func (s *service) underWay() pod {
	s.t.Helper()
	s.apply(only(s.release("1", steps(users, held+"CREATE TABLE orders ();\n"+mark)), "Job"))
	s.eventually("the second migration runs", s.held)
	return s.another(pod{}) // whose status comes later than its migration begins
}

// held reports whether a session is in the migration that is held.
func (s *service) held() bool {
	return pgtest.One[bool](s.t, s.db.Database, "SELECT count(*) > 0 FROM pg_stat_activity WHERE datname = current_database() AND state = 'active' AND query LIKE 'DO $$ BEGIN WHILE%'")
}

// another waits for a pod of the Job that runs and is not that one.
func (s *service) another(than pod) (next pod) {
	s.t.Helper()
	s.eventually("another pod of the Job runs", func() bool {
		for _, next = range s.pods("job-name=bbmd-migrate-1") {
			if next.Metadata.UID != than.Metadata.UID && next.Status.Phase == "Running" {
				return true
			}
		}
		return false
	})
	return next
}

// requireOnce asserts that every step was done once.
func (s *service) requireOnce() {
	s.t.Helper()
	require.Equal(s.t, 1, pgtest.One[int](s.t, s.db.Database, "SELECT count(*)::int FROM marks"))
	require.Equal(s.t, []int64{1, 2}, pgtest.Column[int64](s.t, s.db.Database, "SELECT version_id FROM goose_db_version WHERE version_id > 0 ORDER BY id"))
}

// TestEviction drains the node in the middle of a migration.
func TestEviction(t *testing.T) {
	t.Parallel()
	s := newService(t, "eviction")
	first := s.underWay()
	s.kubectl(t, fmt.Sprintf(`{"apiVersion":"policy/v1","kind":"Eviction","metadata":{"name":%q,"namespace":%q}}`, first.Metadata.Name, s.name),
		"create", "--raw", "/api/v1/namespaces/"+s.name+"/pods/"+first.Metadata.Name+"/eviction", "-f", "-")
	s.another(first)
	require.Equal(t, "interrupted", pgtest.One[string](t, s.db.Database, "SELECT outcome FROM bbm.runs ORDER BY id LIMIT 1"))
	s.db.Exec(t, "INSERT INTO doors DEFAULT VALUES")
	ended := s.waitJob("bbmd-migrate-1", "Complete")
	require.Zero(t, ended.Status.Failed, "a node that is drained is not the migration's fault")
	s.requireOnce()
}

// TestKill kills the process in the middle of a migration, as the kernel does for want of memory.
func TestKill(t *testing.T) {
	t.Parallel()
	s := newService(t, "kill")
	first := s.underWay()
	s.containerd(t, "tasks", "kill", "-s", "SIGKILL", first.container("migrate").id())
	next := s.another(first)
	s.eventually("the next pod says what it does", func() bool {
		return strings.Contains(s.do("logs", next.Metadata.Name), "run begins")
	})
	s.db.Exec(t, "INSERT INTO doors DEFAULT VALUES")
	ended := s.waitJob("bbmd-migrate-1", "Complete")
	require.Equal(t, 1, ended.Status.Failed)
	s.requireOnce()
}
