package executor_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/internal/control"
	"github.com/bbmd-dev/bbmd/internal/executor"
	"github.com/bbmd-dev/bbmd/registry"
)

// candidate is a migration of the Work bump on a table of its own that waits to start.
func candidate(id int32, name string, change func(*control.Candidate)) control.Candidate {
	c := control.Candidate{ID: id, Name: name, Work: "bump", Table: "public." + name, Status: control.StatusActive, Strategy: control.StrategyKeyset, Parallelism: 1}
	if change != nil {
		change(&c)
	}
	return c
}

// started makes a candidate a running one whose chain goes on.
func started(change func(*control.Candidate)) func(*control.Candidate) {
	return func(c *control.Candidate) {
		oid, version := uint32(c.ID), int32(1)
		c.Status, c.TableOID, c.WorkVersion = control.StatusRunning, &oid, &version
		if change != nil {
			change(c)
		}
	}
}

//go:fix inline

// Why candidates wait for their turn.
const (
	busy2  = "waits for a free worker: all 2 (background_migrations.workers) are busy"
	afterA = "waits for a, which comes first on the same table"
)

func TestDecide(t *testing.T) {
	t.Parallel()
	const interval = 2 * time.Second
	works := registry.New()
	require.NoError(t, works.Register(bump))
	on := func(table string) func(*control.Candidate) {
		return func(c *control.Candidate) { c.Table = table }
	}
	complete := func(c *control.Candidate) { c.ChainComplete, c.HasOpenJobs = true, true }
	for name, c := range map[string]struct {
		queue   []control.Candidate
		mine    map[int32]int
		epochs  []int32
		again   map[int32]time.Duration
		held    []int32
		workers int
		want    executor.Decision
	}{
		"nothing": {workers: 2},
		"one each, in the order of the queue": {
			queue:   []control.Candidate{candidate(3, "c", nil), candidate(1, "a", nil), candidate(2, "b", nil)},
			workers: 2, want: executor.Decision{Reasons: map[string]string{"b": busy2}, Begin: []string{"c", "a"}, Wake: interval},
		},
		"one each, then more to those that allow it": {
			queue:   []control.Candidate{candidate(1, "a", started(func(c *control.Candidate) { c.Parallelism = 3 })), candidate(2, "b", nil)},
			workers: 3, want: executor.Decision{Begin: []string{"a", "b", "a"}, Wake: interval},
		},
		"a start is one worker's business": {
			queue:   []control.Candidate{candidate(1, "a", func(c *control.Candidate) { c.Parallelism = 3 })},
			workers: 3, want: executor.Decision{Begin: []string{"a"}, Wake: interval},
		},
		"places are taken by others": {
			queue:   []control.Candidate{candidate(1, "a", started(func(c *control.Candidate) { c.Parallelism, c.SlotsHeld = 3, 2 }))},
			workers: 3, want: executor.Decision{Begin: []string{"a"}, Wake: interval},
		},
		"all places are taken: look whether they live": {
			queue:   []control.Candidate{candidate(1, "a", started(func(c *control.Candidate) { c.SlotsHeld = 1 }))},
			workers: 3, want: executor.Decision{Wake: interval},
		},
		"ours has not taken its place yet": {
			queue: []control.Candidate{candidate(1, "a", started(nil))}, mine: map[int32]int{1: 1},
			workers: 3, want: executor.Decision{},
		},
		"more of ours": {
			queue: []control.Candidate{candidate(1, "a", started(func(c *control.Candidate) { c.Parallelism, c.SlotsHeld = 3, 1 }))}, mine: map[int32]int{1: 1},
			workers: 3, want: executor.Decision{Begin: []string{"a", "a"}, Wake: interval},
		},
		"others may take the place that we leave, and die": {
			queue: []control.Candidate{candidate(1, "a", started(func(c *control.Candidate) { c.Parallelism, c.SlotsHeld = 3, 2 }))}, mine: map[int32]int{1: 2},
			workers: 2, want: executor.Decision{Wake: interval},
		},
		"the places are ours, and a job is not": {
			queue: []control.Candidate{candidate(1, "a", started(func(c *control.Candidate) { c.SlotsHeld, c.Owners = 1, []int32{7, 8} }))}, mine: map[int32]int{1: 1}, epochs: []int32{7},
			workers: 2, want: executor.Decision{Wake: interval},
		},
		"the places and the jobs are ours": {
			queue: []control.Candidate{candidate(1, "a", started(func(c *control.Candidate) { c.SlotsHeld, c.Owners = 1, []int32{7} }))}, mine: map[int32]int{1: 1}, epochs: []int32{7},
			workers: 2, want: executor.Decision{},
		},
		"no worker is free": {
			queue: []control.Candidate{candidate(1, "a", started(nil)), candidate(2, "b", nil)}, mine: map[int32]int{1: 2},
			workers: 2, want: executor.Decision{Reasons: map[string]string{"b": busy2}, Wake: interval},
		},
		"fewer workers than there are": {
			queue: []control.Candidate{candidate(2, "b", nil)}, mine: map[int32]int{1: 2},
			workers: 1, want: executor.Decision{Reasons: map[string]string{"b": "waits for a free worker: the one that there is (background_migrations.workers) is busy"}, Wake: interval},
		},
		"one table, one start": {
			queue:   []control.Candidate{candidate(1, "a", on("public.t")), candidate(2, "b", on("public.t")), candidate(3, "c", nil)},
			workers: 3, want: executor.Decision{Reasons: map[string]string{"b": afterA}, Begin: []string{"a", "c"}, Wake: interval},
		},
		"one table, one start, which is under way": {
			queue: []control.Candidate{candidate(1, "a", on("public.t")), candidate(2, "b", on("public.t"))}, mine: map[int32]int{1: 1},
			workers: 3, want: executor.Decision{Reasons: map[string]string{"b": afterA}},
		},
		"one table, one start, the first waits": {
			queue: []control.Candidate{candidate(1, "a", on("public.t")), candidate(2, "b", on("public.t"))}, again: map[int32]time.Duration{1: time.Second},
			workers: 3, want: executor.Decision{Begin: []string{"b"}, Wake: time.Second},
		},
		"not before": {
			queue: []control.Candidate{candidate(1, "a", nil), candidate(2, "b", started(nil))}, again: map[int32]time.Duration{1: time.Second, 2: -time.Second},
			workers: 3, want: executor.Decision{Begin: []string{"b"}, Wake: time.Second},
		},
		"a retry that is due": {
			queue:   []control.Candidate{candidate(1, "a", started(func(c *control.Candidate) { complete(c); c.DueIn = new(-time.Second) }))},
			workers: 3, want: executor.Decision{Begin: []string{"a"}, Wake: interval},
		},
		"a retry that is not due": {
			queue: []control.Candidate{candidate(1, "a", started(func(c *control.Candidate) {
				complete(c)
				c.DueIn, c.LastError = new(300*time.Millisecond), new("it broke")
			}))},
			workers: 3, want: executor.Decision{Reasons: map[string]string{"a": "waits to try a failed batch again: it broke"}, Wake: 300 * time.Millisecond},
		},
		"a retry beside the chain": {
			queue:   []control.Candidate{candidate(1, "a", started(func(c *control.Candidate) { c.DueIn, c.LastError = new(300*time.Millisecond), new("it broke") }))},
			workers: 3, want: executor.Decision{Begin: []string{"a"}, Wake: 300 * time.Millisecond},
		},
		"the rest is with others": {
			queue:   []control.Candidate{candidate(1, "a", started(func(c *control.Candidate) { complete(c); c.Owners = []int32{7} }))},
			workers: 3, want: executor.Decision{Wake: interval},
		},
		"to be verified": {
			queue:   []control.Candidate{candidate(1, "a", started(func(c *control.Candidate) { c.ChainComplete, c.Unverified, c.Parallelism = true, true, 3 }))},
			workers: 3, want: executor.Decision{Begin: []string{"a"}, Wake: interval},
		},
		"being verified": {
			queue: []control.Candidate{candidate(1, "a", started(func(c *control.Candidate) {
				c.ChainComplete, c.Unverified, c.Parallelism, c.SlotsHeld = true, true, 3, 1
			}))},
			workers: 3, want: executor.Decision{Wake: interval},
		},
		"unknown work": {
			queue:   []control.Candidate{candidate(1, "a", func(c *control.Candidate) { c.Work = "bumb" }), candidate(2, "b", nil)},
			workers: 1, want: executor.Decision{Begin: []string{"b"}, Reasons: map[string]string{"a": `unknown work "bumb", did you mean "bump"?: the migration waits until a bbmd that has it runs`}, Wake: interval},
		},
		"another version": {
			queue:   []control.Candidate{candidate(1, "a", started(func(c *control.Candidate) { c.WorkVersion = new(int32(2)) }))},
			workers: 1, want: executor.Decision{Reasons: map[string]string{"a": `waits for a replica that has version 2 of the work "bump"; this one has version 1`}},
		},
		"another content": {
			queue:   []control.Candidate{candidate(1, "a", started(func(c *control.Candidate) { c.WorkDigest = "sha256:0123456789abcdef" }))},
			workers: 1, want: executor.Decision{Reasons: map[string]string{"a": `waits: the work "bump" changed after the migration had begun: it was sha256:0123456789ab and is compiled in here; put it back as it was, or let the migration go on with what is there now: bbmd plugins approve bump`}},
		},
		"another content before the start": {
			queue:   []control.Candidate{candidate(1, "a", func(c *control.Candidate) { c.WorkDigest = "sha256:0" })},
			workers: 1, want: executor.Decision{Begin: []string{"a"}, Wake: interval},
		},
		"dependencies": {
			queue:   []control.Candidate{candidate(1, "a", func(c *control.Candidate) { c.Waiting = []string{"x (failed)", "y (unknown)"} })},
			workers: 1, want: executor.Decision{Reasons: map[string]string{"a": "waits for x (failed), y (unknown) to finish"}},
		},
		"busy table": {
			queue:   []control.Candidate{candidate(1, "a", func(c *control.Candidate) { c.TableBusy = new("b") })},
			workers: 1, want: executor.Decision{Reasons: map[string]string{"a": "waits for b, which is running on the same table"}},
		},
		"the reason is known": {
			queue: []control.Candidate{candidate(1, "a", func(c *control.Candidate) {
				c.TableBusy, c.StatusReason = new("b"), new("waits for b, which is running on the same table")
			})},
			workers: 1, want: executor.Decision{},
		},
		"another replica is at it": {
			queue:   []control.Candidate{candidate(1, "a", started(func(c *control.Candidate) { c.Work, c.SlotsHeld = "bumb", 1 }))},
			workers: 1, want: executor.Decision{},
		},
		"throttled": {
			queue: []control.Candidate{candidate(1, "a", started(nil)), candidate(2, "b", nil)}, held: []int32{1},
			workers: 1, want: executor.Decision{Begin: []string{"b"}, Wake: interval},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			settings := executor.DefaultSettings()
			settings.Workers, settings.TakeoverInterval = c.workers, interval
			got := executor.Decide(c.queue, executor.Situation{Registry: works, Settings: settings, Mine: c.mine, Epochs: c.epochs, Again: c.again, Held: c.held})
			require.Empty(t, cmp.Diff(c.want, got))
		})
	}
}
