package process_test

import (
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/plugins/process"
	"github.com/bbmd-dev/bbmd/testing/pgtest"
)

// TestCheckSurvivesItsProgram kills a program while it checks whether a migration can
// start: that says nothing about the migration.
func TestCheckSurvivesItsProgram(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	var killed atomic.Bool
	h := newHouse(t, func(o *process.Options) {
		o.Trace = func(message string, kill func()) {
			if message == "check" && killed.CompareAndSwap(false, true) {
				kill()
			}
		}
	})
	h.write("child", own(t, "child", "good", nil, manifest{"name": "bump", "check": true}))
	execute(t, db, h.open()["child"].Works()...)
	table(t, db, "t", 30)
	enqueue(t, db, "bump", "t", "{}", 10, 1)
	finished(t, db, "t")
	require.True(t, killed.Load())
	require.Equal(t, []int{1}, pgtest.Column[int](t, db, "SELECT DISTINCT n FROM t"))
}
