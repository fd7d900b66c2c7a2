package executor

import (
	"strconv"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/bbmd-dev/bbmd/internal/control"
)

// block is the answer to a claim.
type block struct {
	jobs     []control.Job
	status   string // the migration's
	due      bool   // a pending job may be tried
	complete bool   // the chain has reached the end of the range
	lostLock bool   // somebody takes the owner for dead
	took     time.Duration
}

// claimer cuts the next jobs of a migration's chain. It speaks for one
// connection, in pipeline mode, and keeps the size of blocks near blockTime of work.
type claimer struct {
	migration int32
	epoch     int32
	maxValue  string
	blockTime time.Duration
	first     int64 // batches in a block before it is known how long they take
	most      int64
	sizer     *sizer
	target    time.Duration       // where the migration does not say
	batchTime atomic.Int64        // nanoseconds, moving average; 0: not known yet
	follow    func(control.Knobs) // is told the knobs of the row with every claim
	claimed   func(jobs int, took time.Duration)
}

// The names of the prepared statements of a claim.
const (
	stmtClaimLock = "bbmd_claim_lock"
	stmtClaim     = "bbmd_claim"
	stmtState     = "bbmd_state"
)

// claimStatements are what a claim's connection has to know, to be prepared.
func claimStatements(store control.Store, l control.Lookups) []statement {
	return []statement{prepared(stmtClaimLock, store.ClaimLockSQL()), prepared(stmtClaim, store.ClaimSQL(l)), prepared(stmtState, store.StateSQL())}
}

// observe learns from a finished batch how long batches take.
func (c *claimer) observe(j *control.Job, took time.Duration) {
	if !j.Careful {
		c.sizer.observe(j.BatchSize, took)
	}
	old := c.batchTime.Load()
	if old == 0 {
		c.batchTime.Store(int64(took))
		return
	}
	c.batchTime.Store(old + (int64(took)-old)/4)
}

// blockSize is how many batches to claim at once.
func (c *claimer) blockSize() int64 {
	average := c.batchTime.Load()
	if average == 0 {
		return c.first
	}
	most := c.most
	if c.sizer.held() {
		most = slowBlock
	}
	return min(max(int64(c.blockTime)/average, 2), most)
}

// send writes a claim of batches of size keys as one transaction of the
// pipeline, without flushing it.
func (c *claimer) send(p *pgconn.Pipeline, size int32) {
	migration, epoch := text(int64(c.migration)), text(int64(c.epoch))
	p.SendQueryPrepared(stmtClaimLock, [][]byte{migration, epoch}, nil, nil)
	p.SendQueryPrepared(stmtClaim, [][]byte{migration, epoch, text(int64(size)), text(c.blockSize())}, nil, nil)
	p.SendQueryPrepared(stmtState, [][]byte{migration}, nil, nil)
	p.SendPipelineSync()
}

func text(n int64) []byte { return strconv.AppendInt(nil, n, 10) }

// receive reads the answer to a claim.
func (c *claimer) receive(p *pgconn.Pipeline) (block, error) {
	var b block
	err := readGroup(p, func(i int, row [][]byte) {
		switch i {
		case 0:
			b.lostLock = string(row[0]) != "t"
		case 1:
			b.jobs = append(b.jobs, jobFromRow(row))
		case 2:
			b.status, b.due = string(row[0]), string(row[1]) == "t"
			c.adopt(knobsFromRow(row[2:]))
		}
	}, nil)
	if err != nil {
		return block{}, err
	}
	b.complete = len(b.jobs) == 0 || b.jobs[len(b.jobs)-1].End == c.maxValue
	return b, nil
}

// adopt follows the knobs on the migration's row.
func (c *claimer) adopt(k control.Knobs) {
	c.sizer.adopt(limitsOf(k, c.target))
	c.follow(k)
}

// limitsOf returns what a migration's knobs say about sizes; target is the
// daemon's, for a migration that does not say.
func limitsOf(k control.Knobs, target time.Duration) limits {
	if k.Target != nil {
		target = *k.Target
	}
	return limits{start: k.BatchSize, least: k.MinBatchSize, most: k.MaxBatchSize, target: target}
}

// knobsFromRow reads integers and numbers that the server has just written.
func knobsFromRow(row [][]byte) control.Knobs {
	seconds := func(i int) time.Duration {
		s, _ := strconv.ParseFloat(string(row[i]), 64)
		return time.Duration(s * float64(time.Second))
	}
	k := control.Knobs{BatchSize: integer(row[0]), MinBatchSize: integer(row[1]), MaxBatchSize: integer(row[2]), Pause: seconds(4)}
	if row[3] != nil {
		target := seconds(3)
		k.Target = &target
	}
	k.Throttle = optional(row[5])
	return k
}

func jobFromRow(row [][]byte) control.Job {
	id, _ := strconv.ParseInt(string(row[0]), 10, 64) // a bigint that the server has just written
	return control.Job{ID: id, After: optional(row[1]), First: optional(row[2]), End: string(row[3]), BatchSize: integer(row[4])}
}

func optional(value []byte) *string {
	if value == nil {
		return nil
	}
	s := string(value)
	return &s
}
