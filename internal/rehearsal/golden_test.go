package rehearsal_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/internal/control"
	"github.com/bbmd-dev/bbmd/internal/rehearsal"
	"github.com/bbmd-dev/bbmd/internal/terminal"
)

var update = flag.Bool("update", false, "write the golden files anew")

// golden compares text with a file in testdata.
func golden(t *testing.T, name, text string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err, "go test -update writes it")
	require.Empty(t, cmp.Diff(string(want), text))
}

func everything() *rehearsal.Report {
	return &rehearsal.Report{
		Migration: "orders_total", Work: "execute_sql", Table: "public.orders", Key: []string{"id"},
		Statement: "UPDATE orders SET total = net + tax\n WHERE :range",
		Plan:      []string{"Update on orders", "  ->  Index Scan using orders_pkey on orders", "        Index Cond: ((id > $1) AND (id <= $2))"},
		Findings: []rehearsal.Finding{
			{Level: rehearsal.OK, About: "plan", Text: "a batch finds its rows through the index orders_pkey"},
			{Level: rehearsal.Note, About: "writes", Text: "batches also write to public.log: 3,000 rows inserted"},
			{
				Level: rehearsal.Warn, About: "indexes", Text: "orders_total_idx covers what the statement writes (total), so that every updated row writes to all of the table's 3 indexes",
				Hint: "drop what can be missed meanwhile, and create it again afterwards: that is 2 to 6 times cheaper",
			},
			{Level: rehearsal.Fail, About: "batch", Text: "keys after 5000 up to 6000: division by zero (SQLSTATE 22012)", Hint: "mend it first"},
		},
		Batches: []rehearsal.Batch{
			{End: "1000", Keys: 1000, Rows: 990, Milliseconds: 12.34, LookupMS: 0.41, WALBytes: 420_000, HOTShare: new(0.42)},
			{After: new("5000"), End: "6000", Keys: 1000, Milliseconds: 3, LookupMS: 0.4, Failure: &control.Failure{SQLState: "22012", Message: "division by zero"}},
			{After: new("900000"), End: "902000", Keys: 2000, Rows: 0, Milliseconds: 1500, LookupMS: 0.4},
		},
		Writes:   []rehearsal.Write{{Table: "public.orders", Updated: 3000, HOT: 40}, {Table: "public.log", Inserted: 3000}},
		Measured: &rehearsal.Measured{Batches: 2, Keys: 3000, Rows: 990, BatchSize: 2000, MedianMS: 41.2, P90MS: 55, KeysPerSec: 48_123, WALPerRow: new(424.0), HOTShare: new(0.42)},
		Forecast: &rehearsal.Projected{
			Keys: 12_345_678, Guess: true, BatchSize: 2100, Workers: 2, Durations: []rehearsal.Duration{{Duty: 1, Seconds: 128.3}, {Duty: 0.25, Seconds: 513.1}},
			WALBytes: 5 << 30, DeadRows: 12_345_678, TableBytes: 900 << 20, IndexBytes: 300 << 20, SizeBefore: 2 << 30,
		},
	}
}

func TestReportGolden(t *testing.T) {
	t.Parallel()
	for name, screen := range map[string]terminal.Screen{"report.txt": {}, "report_72.txt": {Width: 72}, "report_color.txt": {Width: 100, Color: true}} {
		var out bytes.Buffer
		screen.Out = &out
		require.NoError(t, everything().Write(screen))
		golden(t, name, out.String())
	}
	var out bytes.Buffer
	require.NoError(t, (&rehearsal.Report{Work: "w", Table: "public.t"}).Write(terminal.Screen{Out: &out}))
	require.Equal(t, "not enqueued yet  w on public.t\n", out.String())

	text, err := json.MarshalIndent(everything(), "", "  ")
	require.NoError(t, err)
	golden(t, "report.json", string(text)+"\n")
}
