package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"

	"github.com/bbmd-dev/bbmd/internal/executor"
	"github.com/bbmd-dev/bbmd/internal/pgserver"
	"github.com/bbmd-dev/bbmd/plugins"
	"github.com/bbmd-dev/bbmd/plugins/process"
	"github.com/bbmd-dev/bbmd/plugins/sdk"
	"github.com/bbmd-dev/bbmd/plugins/sqlfile"
	"github.com/bbmd-dev/bbmd/registry"
)

// What a batch may take by a plugin, relative to the same Work compiled in.
const (
	fileTarget    = 1.05
	programTarget = 1.15
)

// The Works of the plugins that are measured.
const (
	workFile    = "bench_file"
	workProgram = "bench_program"
)

// PluginArgument is the argument with which whatever program measures is started
// as a plugin: it then calls [ServePlugin] and nothing else.
const PluginArgument = "serve-as-a-plugin"

// ServePlugin is the plugin in Go that is measured, until its standard input ends.
func ServePlugin() error {
	return sdk.Serve(registry.Work{Name: workProgram, SQL: updateRows})
}

// updateRows is the Work that is measured, in SQL.
func updateRows(registry.Migration) (registry.Statement, error) {
	return registry.ParseStatement(update + ":range")
}

// benchFile is the same as a plugin.
const benchFile = `-- bbmd: work bench_file
-- bbmd: table bench_rows
-- bbmd: section run
UPDATE bench_rows SET b = b + 1 WHERE :range;
`

// benchPlugins are the plugins that are measured, in a directory of their own.
type benchPlugins struct {
	works  []registry.Work
	source *process.Source
	dir    string
}

func newBenchPlugins(ctx context.Context, o Options) (p *benchPlugins, err error) {
	file, err := sqlfile.Parse([]byte(benchFile))
	if err != nil {
		return nil, err
	}
	p = &benchPlugins{source: process.NewSource(process.Options{Logger: o.Logger})}
	if p.dir, err = os.MkdirTemp("", "bbmd-bench-plugins-"); err != nil {
		return nil, err
	}
	if p.works, err = p.program(ctx); err != nil {
		return nil, errors.Join(err, p.close(ctx))
	}
	p.works = append(slices.Clone(p.works), file.Work()) // the plugin's own slice is always the same
	return p, nil
}

// program makes a plugin of the program that measures.
func (p *benchPlugins) program(ctx context.Context) ([]registry.Work, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	manifest, err := json.Marshal(map[string]any{
		"protocol": 1, "name": "bench", "command": []string{self, PluginArgument}, "max_procs": 1,
		"works": []map[string]string{{"name": workProgram}},
	})
	if err != nil {
		return nil, err
	}
	if err := os.Mkdir(filepath.Join(p.dir, "bench"), 0o700); err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(p.dir, "bench", process.ManifestName), manifest, 0o600); err != nil {
		return nil, err
	}
	dir, err := plugins.OpenDir(p.dir)
	if err != nil {
		return nil, err
	}
	defer func() { _ = dir.Close() }() // it was only read
	found, err := p.source.Scan(ctx, dir)
	if err != nil || len(found) != 1 {
		return nil, errors.Join(err, fmt.Errorf("found %d plugins in %s", len(found), p.dir))
	}
	if found[0].Err != nil {
		return nil, found[0].Err
	}
	opened, err := p.source.Open(ctx, found[0])
	if err != nil {
		return nil, err
	}
	return opened.Works(), nil
}

// close ends the program.
func (p *benchPlugins) close(ctx context.Context) error {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	cancel() // Run closes and waits once its context has ended
	_ = p.source.Run(ctx)
	return os.RemoveAll(p.dir)
}

// measurePlugins lets the same Work run as a plugin of each kind and compiled in, in turns.
func (r *Report) measurePlugins(ctx context.Context, server *pgserver.Server, o Options) (err error) {
	n := o.sizes()
	d, err := newDatabase(ctx, server, "plugins")
	if err != nil {
		return err
	}
	defer d.close(ctx)
	made, err := newBenchPlugins(ctx, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, made.close(ctx)) }()
	settings := executor.DefaultSettings()
	settings.Workers = 1
	rig, err := newRig(ctx, d, settings, o.Logger, made.works...)
	if err != nil {
		return err
	}
	defer rig.close()
	m := &result{throughputCase: throughputCase{keys: bigints, size: 1000, workers: 1, extent: n.plugins}}
	for _, work := range []string{workSQL, workSQL, workGo, workGo, workFile, workProgram} {
		m.variants = append(m.variants, variant{
			name:  work,
			ready: func(context.Context) error { return nil },
			run:   func(ctx context.Context, s slice) (timing, error) { return rig.migrate(ctx, work, s, 1) },
		})
	}
	perRound := m.slice * len(m.variants)
	perPass := max(1, n.tableRows/perRound)
	for done := 0; done < m.rounds; done += perPass {
		if err := m.pass(ctx, d, min(perPass, m.rounds-done), perRound); err != nil {
			return err
		}
	}
	r.addPlugins(m)
	return nil
}

// addPlugins compares plugins with compiled Works. A file of one statement has the form of
// a Work in SQL, which goes to the server together with its bookkeeping. What a program
// answers is known only when it has, as with a callback in Go: what that form costs by itself is
// the last line. The target of a program holds beside either.
func (r *Report) addPlugins(m *result) {
	const inSQL, inGo, file, program = 0, 2, 4, 5 // variants, the first two twice
	for _, c := range []struct {
		what      string
		own, base int
		target    float64
	}{
		{"a file of SQL, beside the Work in SQL", file, inSQL, fileTarget},
		{"a program in Go that returns its statement, beside the callback in Go", program, inGo, programTarget},
		{"a program in Go that returns its statement, beside the Work in SQL", program, inSQL, programTarget},
		{"a callback in Go, beside the Work in SQL", inGo, inSQL, 0},
	} {
		var ratios, controls, own, base []float64
		for _, round := range m.samples {
			one, again := perBatch(round[c.base], m.size), perBatch(round[c.base+1], m.size)
			own, base = append(own, perBatch(round[c.own], m.size)), append(base, (one+again)/2)
			ratios, controls = append(ratios, own[len(own)-1]/base[len(base)-1]), append(controls, one/again)
		}
		noise := math.Abs(median(controls) - 1)
		l := line{
			section: SectionPlugins, what: "a batch of 1,000 rows by " + c.what, value: batchTime(own), beside: batchTime(base),
			ratio: fmt.Sprintf("%.3f (A/A %.3f)", median(ratios), median(controls)), target: "-", verdict: Shown,
		}
		if c.target > 0 {
			l.target, l.verdict = fmt.Sprintf("≤ %.2f", c.target), Void
			if noise <= mostNoise {
				l.verdict = judgeAtMost(median(ratios), c.target, max(noise, uncertainty(ratios)))
			}
		}
		r.lines = append(r.lines, l)
	}
}

func perBatch(s sample, size int) float64 { return perRow(s.wall, s) * float64(size) }

func batchTime(nanoseconds []float64) string {
	return fmt.Sprintf("%.0f µs", median(nanoseconds)/1000)
}
