package executor_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/internal/control"
	"github.com/bbmd-dev/bbmd/internal/executor"
	"github.com/bbmd-dev/bbmd/testing/pgtest"
)

// sessions are the connections of a replica's workers, in the order in which they were asked for.
type sessions struct {
	db   *pgtest.Database
	mu   sync.Mutex
	all  []*tap
	wrap func(number int, conn net.Conn) net.Conn // nil: as they are
	ask  func(ctx context.Context) error          // before each; nil: nothing
}

// tap remembers what is written on a connection, write by write.
type tap struct {
	net.Conn
	mu     sync.Mutex
	writes []string
}

func (c *tap) Write(data []byte) (int, error) {
	c.mu.Lock()
	c.writes = append(c.writes, string(data))
	c.mu.Unlock()
	return c.Conn.Write(data)
}

// asked returns what was written, each time to wait for an answer, up to what begins with the first batch.
func (c *tap) asked(t *testing.T, first string) []string {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, data := range c.writes {
		if strings.Contains(data, "\x00"+first+"\x00") && data[0] == 'B' {
			return c.writes[:i]
		}
	}
	require.Fail(t, "no batch began")
	return nil
}

func (s *sessions) connect(ctx context.Context, application string) (*pgx.Conn, error) {
	if s.ask != nil {
		if err := s.ask(ctx); err != nil {
			return nil, err
		}
	}
	config, err := pgx.ParseConfig(s.db.URL)
	if err != nil {
		return nil, err
	}
	config.RuntimeParams["application_name"] = application
	c := &tap{}
	s.mu.Lock()
	number := len(s.all)
	s.all = append(s.all, c)
	s.mu.Unlock()
	var dialled atomic.Bool
	config.DialFunc = func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(ctx, network, address)
		if err != nil || dialled.Swap(true) { // pgx cancels what runs on a connection that it gives up
			return conn, err
		}
		if s.wrap != nil {
			conn = s.wrap(number, conn)
		}
		c.Conn = conn
		return c, nil
	}
	return pgx.ConnectConfig(ctx, config)
}

func (s *sessions) taps() []*tap {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.all
}

// sessionsOf makes a replica's workers connect by what is returned.
func sessionsOf(t *testing.T, db *pgtest.Database) (*sessions, func(*executor.Options)) {
	t.Helper()
	s := &sessions{db: db.Worker(t)}
	return s, func(o *executor.Options) { o.Connect = s.connect }
}

// gone waits until no session of a worker of migration m is left.
func gone(t *testing.T, db *pgtest.Database) {
	t.Helper()
	db.WaitFor(t, "SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'bbmd/test/m')")
}

// From connecting up to the first batch a session waits for three answers: to what makes it a
// worker's, to what is prepared, and to the first claim. A second connection is opened when there is more than a block.
func TestAStartWaitsForThreeAnswers(t *testing.T) {
	t.Parallel()
	const (
		bigints = "CREATE TABLE t (id bigint PRIMARY KEY, n int NOT NULL DEFAULT 0); INSERT INTO t SELECT generate_series(1, 200)"
		uuids   = "CREATE TABLE t (id uuid PRIMARY KEY, n int NOT NULL DEFAULT 0); INSERT INTO t SELECT md5(i::text)::uuid FROM generate_series(1, 200) i"
	)
	for name, c := range map[string]struct {
		create, work, first string
		size, connections   int
	}{
		"statement":                {bigints, "bump", "bbmd_fence", 100, 1},
		"further blocks":           {bigints, "bump", "bbmd_fence", 10, 2},
		"callback":                 {bigints, "bump_in_go", "bbmd_begin", 100, 1},
		"callback, further blocks": {bigints, "bump_in_go", "bbmd_begin", 10, 2},
		"random keys":              {uuids, "bump", "bbmd_fence", 200, 1},
		"random, further blocks":   {uuids, "bump", "bbmd_fence", 10, 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := database(t)
			db.Exec(t, c.create)
			s, connect := sessionsOf(t, db)
			start(t, db, connect)
			enqueue(t, db, c.work, fmt.Sprintf("batch_size => %d", c.size))
			exactlyOnce(t, db)
			gone(t, db)

			require.Len(t, s.taps(), c.connections)
			asked := s.taps()[0].asked(t, c.first)
			require.Len(t, asked, 4, "the startup message, and three times something to wait for")
			for i, text := range []string{"SELECT pg_backend_pid()", "\x00UPDATE", "bbmd_claim\x00"} {
				if c.work == "bump" || i != 1 {
					require.True(t, strings.Contains(asked[i+1], text), "%d: %s", i+1, text)
				}
			}
			if c.connections > 1 {
				second := s.taps()[1]
				second.mu.Lock()
				defer second.mu.Unlock()
				require.True(t, strings.Contains(second.writes[2], "bbmd_claim\x00"), "its first claim follows one answer")
			}
		})
	}
}

var errCut = errors.New("cut by the test")

// cut is a connection that ends with one of its writes, which reaches the server or does not.
type cut struct {
	net.Conn
	left atomic.Int32
	sent bool
}

func (c *cut) Write(data []byte) (int, error) {
	if c.left.Add(-1) != 0 {
		return c.Conn.Write(data)
	}
	if c.sent {
		_, _ = c.Conn.Write(data)
	}
	_ = c.Close()
	return 0, errCut
}

// Wherever a worker's session breaks off while it begins, nothing is lost and nothing done twice.
func TestABeginningThatBreaksOff(t *testing.T) {
	t.Parallel()
	type point struct {
		work                string
		connection, message int // which message of which connection: 0 is the first
	}
	var points []point
	for i := range 6 { // startup, what makes it a worker's, what is prepared, claim, first batch or what begins it, the next
		points = append(points, point{"bump", 0, i}, point{"bump_in_go", 0, i})
	}
	for i := range 3 { // startup, what makes it the owner's, claim
		points = append(points, point{"bump", 1, i}, point{"bump_in_go", 1, i})
	}
	for _, p := range points {
		for _, sent := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s %d.%d %t", p.work, p.connection, p.message, sent), func(t *testing.T) {
				t.Parallel()
				db := database(t)
				table(t, db, 100)
				s, connect := sessionsOf(t, db)
				var hit atomic.Bool
				s.wrap = func(number int, conn net.Conn) net.Conn {
					if number != p.connection || hit.Swap(true) {
						return conn
					}
					c := &cut{Conn: conn, sent: sent}
					c.left.Store(int32(p.message) + 1)
					return c
				}
				start(t, db, with(connect, watch(soon)))
				enqueue(t, db, p.work, "batch_size => 1") // more than one claim takes, whatever a batch takes

				exactlyOnce(t, db)
				gone(t, db)
				require.True(t, hit.Load())
				if p.connection == 0 || p.message > 1 { // without a second connection the first goes on
					require.Greater(t, len(s.taps()), p.connection+1, "it was broken off, and tried again")
				}
			})
		}
	}
}

// A session is opened while the table is looked up. When that finds that there is nothing to do
// yet, the session waits for who can go on, or is closed if it has not begun, and while that stays so no other is opened.
func TestASessionOpenedInVainWaits(t *testing.T) {
	t.Parallel()
	t.Run("refused", func(t *testing.T) {
		t.Parallel()
		db := database(t)
		s, connect := sessionsOf(t, db)
		db.Exec(t, "CREATE TABLE t (id bigint NOT NULL, n int)")
		start(t, db, connect)
		enqueue(t, db, "bump", "")
		ends(t, db, "failed")
		gone(t, db)
		require.Len(t, s.taps(), 1)
	})
	t.Run("waits", func(t *testing.T) {
		t.Parallel()
		db := database(t)
		s, connect := sessionsOf(t, db)
		table(t, db, 10)
		writer, err := db.Conn(t).Begin(t.Context())
		require.NoError(t, err)
		_, err = writer.Exec(t.Context(), "INSERT INTO t VALUES (11)")
		require.NoError(t, err)
		r := start(t, db, connect)
		enqueue(t, db, "bump", "")
		waitsBecause(t, db, "waits for transactions that were writing to the table")
		for range 3 {
			looks := strings.Count(r.log.String(), "worker ended")
			for strings.Count(r.log.String(), "worker ended") == looks {
				_, grown := r.log.read()
				if strings.Count(r.log.String(), "worker ended") == looks {
					<-grown
				}
			}
		}
		gone(t, db)
		require.Len(t, s.taps(), 1, "it is known by then that the migration waits")

		require.NoError(t, writer.Commit(t.Context()))
		exactlyOnce(t, db)
		require.LessOrEqual(t, len(s.taps()), 2)
	})
}

// After the sequence of epochs has begun anew, by a cycle or a restored copy, an epoch may be drawn under which jobs
// are running. It is given up before anything is claimed.
func TestAnEpochUnderWhichJobsAreRunningIsGivenUp(t *testing.T) {
	t.Parallel()
	db := database(t)
	m := running(t, db, 1000)
	s, connect := sessionsOf(t, db)
	byHand := db.Conn(t)
	var once sync.Once
	s.ask = func(ctx context.Context) (err error) {
		once.Do(func() { // the scan has seen no owner
			_, err = byHand.Exec(ctx, claimByHand(), m, 1, 10, 5)
		})
		return err
	}
	r := startDeaf(t, db, with(connect, watch(never))) // or a look finds the owner dead before that
	r.logs("jobs are running under the owner epoch")

	exactlyOnce(t, db)
	used, err := control.NewStore("").EpochInUse(t.Context(), db.Conn(t), 1)
	require.NoError(t, err)
	require.False(t, used)
}
