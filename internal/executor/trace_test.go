package executor_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/internal/executor"
)

// Where nothing is traced, what traces would be made of costs a batch no allocation.
//
//nolint:paralleltest // allocations are counted of the whole process
func TestTracingThatIsOffAllocatesNothing(t *testing.T) {
	batch := executor.UntracedBatch(t.Context())
	batch()
	require.Zero(t, testing.AllocsPerRun(1000, batch))
}

// BenchmarkUntraced is what the tracing of a batch costs while it is off.
func BenchmarkUntraced(b *testing.B) {
	batch := executor.UntracedBatch(b.Context())
	b.ReportAllocs()
	for b.Loop() {
		batch()
	}
}

func TestOnlyHarmlessWordsAreOperations(t *testing.T) {
	t.Parallel()
	for sql, want := range map[string]string{
		"UPDATE users SET x = 'private'": "UPDATE", " select 1": "SELECT", "WITH a AS (…)": "WITH", "": "OTHER",
		"'private'": "OTHER", "private users": "OTHER", "/* private */ UPDATE t": "OTHER",
	} {
		require.Equal(t, want, executor.Operation(sql), sql)
	}
}
