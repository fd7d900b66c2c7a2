package executor_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/internal/control"
	"github.com/bbmd-dev/bbmd/internal/executor"
	"github.com/bbmd-dev/bbmd/registry"
	"github.com/bbmd-dev/bbmd/testing/pgtest"
)

// changeable is a set of Works whose one Work may change and go away.
type changeable struct {
	mu      sync.Mutex
	work    *registry.Work
	lookups int // since the last change
}

func (c *changeable) Lookup(name string) (registry.Work, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lookups++
	if c.work == nil || c.work.Name != name {
		return registry.Work{}, fmt.Errorf("%w %q: its file is gone", registry.ErrUnknownWork, name)
	}
	return *c.work, nil
}

// become makes the Work one of another content, an empty digest none.
func (c *changeable) become(digest string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.work, c.lookups = nil, 0
	if digest != "" {
		work := bump
		work.Version, work.Digest = 1, digest
		c.work = &work
	}
}

// noticed waits until the executor has told its workers of the change. A scan looks
// the Work up when it recalls workers and when it decides, so that the third
// look since the change comes after a recall.
func (c *changeable) noticed(t *testing.T, r *replica) {
	t.Helper()
	require.Eventually(t, func() bool {
		r.Wake()
		c.mu.Lock()
		defer c.mu.Unlock()
		return c.lookups >= 3
	}, time.Minute, 5*time.Millisecond)
}

func changing(digest string) (*changeable, func(*executor.Options)) {
	works := &changeable{}
	works.become(digest)
	return works, func(o *executor.Options) { o.Registry = works }
}

const (
	digestA = "sha256:aaaaaaaaaaaaaaaa"
	digestB = "sha256:bbbbbbbbbbbbbbbb"
)

// A Work that is edited in the middle of a migration stops it, until somebody
// approves, and the rows are processed once all the same.
func TestEditedWorkStopsItsMigration(t *testing.T) {
	t.Parallel()
	db := database(t)
	table(t, db, 400)
	enqueue(t, db, "bump", "batch_size => 5")
	gate := closeGate(t, db, 50)
	works, with := changing(digestA)
	r := start(t, db, with)
	gate.reached()
	require.Equal(t, digestA, pgtest.One[string](t, db, "SELECT work_digest FROM "+migrationsTable))
	works.become(digestB)
	works.noticed(t, r)
	gate.open()
	waitsBecause(t, db, `the work "bump" changed after the migration had begun: it was sha256:aaaaaaaaaaaa and is sha256:bbbbbbbbbbbb here`)
	waitsBecause(t, db, "bbmd plugins approve bump")
	require.Positive(t, pgtest.One[int](t, db, "SELECT count(*) FROM t WHERE n = 0"), "it has stopped before the end")

	names, err := control.Store{}.Approve(t.Context(), db.Conn(t), "bump", digestB)
	require.NoError(t, err)
	require.Equal(t, []string{"m"}, names)
	exactlyOnce(t, db)
	names, err = control.Store{}.Approve(t.Context(), db.Conn(t), "bump", digestA)
	require.NoError(t, err)
	require.Empty(t, names, "it is over")
}

// A Work that goes away in the middle stops its migration, and its return lets it go on.
func TestMissingWorkStopsItsMigration(t *testing.T) {
	t.Parallel()
	db := database(t)
	table(t, db, 400)
	enqueue(t, db, "bump", "batch_size => 5")
	gate := closeGate(t, db, 50)
	works, with := changing(digestA)
	r := start(t, db, with)
	gate.reached()
	works.become("")
	works.noticed(t, r)
	gate.open()
	waitsBecause(t, db, `unknown work "bump": its file is gone`)
	works.become(digestA)
	r.Wake()
	exactlyOnce(t, db)
}

// A replica without the content that a migration began with does not claim it, and
// one that has it does.
func TestReplicaWithoutTheContentDoesNotClaim(t *testing.T) {
	t.Parallel()
	db := database(t)
	table(t, db, 200)
	enqueue(t, db, "bump", "batch_size => 5")
	gate := closeGate(t, db, 50)
	_, with := changing(digestA)
	first := start(t, db, with)
	gate.reached()
	first.kill()
	gate.open()
	_, with = changing(digestB)
	start(t, db, with)
	waitsBecause(t, db, "it was sha256:aaaaaaaaaaaa and is sha256:bbbbbbbbbbbb here")
	require.Positive(t, pgtest.One[int](t, db, "SELECT count(*) FROM t WHERE n = 0"))
	_, with = changing(digestA)
	start(t, db, with)
	exactlyOnce(t, db)
}

// Pinned lists what has begun and is not over.
func TestPinned(t *testing.T) {
	t.Parallel()
	db := database(t)
	table(t, db, 200)
	enqueue(t, db, "bump", "batch_size => 5")
	conn := db.Conn(t)
	all, err := control.Store{}.Pinned(t.Context(), conn)
	require.NoError(t, err)
	require.Empty(t, all)
	gate := closeGate(t, db, 50)
	_, with := changing(digestA)
	start(t, db, with)
	gate.reached()
	all, err = control.Store{}.Pinned(t.Context(), conn)
	require.NoError(t, err)
	require.Equal(t, []control.Pinned{{Migration: "m", Work: "bump", Version: 1, Digest: digestA}}, all)
	gate.open()
	exactlyOnce(t, db)
}
