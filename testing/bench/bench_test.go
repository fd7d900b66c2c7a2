package bench_test

import (
	"log/slog"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/testing/bench"
)

// The figures of so small a run mean nothing. That it ends without an error means that every
// row was changed exactly once, by every variant, in batches of the right size.
func TestEverySectionRuns(t *testing.T) {
	t.Parallel()
	report, err := bench.Run(t.Context(), bench.Options{Tiny: true, Logger: slog.New(slog.NewTextHandler(t.Output(), nil))})
	require.NoError(t, err)
	var text strings.Builder
	require.NoError(t, report.Write(&text))
	t.Log(text.String())
	for _, part := range []string{
		"fdatasync p50", "PostgreSQL", "cores",
		"| bare loop again (A/A) |", "| SQL Work, synchronous_commit=on |", "| Go callback, synchronous_commit=off |",
		"uuid key", "four workers", "INSERT by another session", "until notify.Stream has it", "3000 finished jobs beside 100", "old snapshot", "with nothing to do",
		"beside a throttled backfill", "on a row of the backfilled table, beside an unthrottled backfill", "one key of a thousand", "99 of 100 rows deleted",
		"3 pending migrations", "Measured without River", "| rows a second of a backfill, 1,000 a batch;", "| claiming a block beside", "| p99 of others' transactions", "| start-up, hundreds", "| 500 schema migrations pending",
		"by a file of SQL", "by a program in Go that returns its statement",
	} {
		require.Contains(t, text.String(), part)
	}
}

func TestUnknownSection(t *testing.T) {
	t.Parallel()
	_, err := bench.Run(t.Context(), bench.Options{Tiny: true, Only: []string{"speed"}, Logger: slog.New(slog.DiscardHandler)})
	require.ErrorContains(t, err, `there is no section "speed"`)
}
