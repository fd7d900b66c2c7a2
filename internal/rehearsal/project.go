package rehearsal

import (
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/bbmd-dev/bbmd/internal/control"
)

// slower is a duty that stands for a throttle that gives way to some traffic.
const slower = 0.25

// project works out what the whole takes, from what passed.
func (s *stage) project(ctx context.Context) error {
	if len(s.passed) == 0 {
		return nil
	}
	m := s.measure()
	s.report.Measured = &m
	if s.rows <= 0 {
		return nil
	}
	p := Projected{Keys: s.rows, Guess: s.guess, BatchSize: m.BatchSize, Workers: max(s.opts.Workers, 1)}
	if target := s.subject.Limits.Target; target > 0 && s.opts.Size == 0 {
		p.BatchSize = s.sized(target)
	}
	full := float64(s.rows) / m.KeysPerSec / float64(p.Workers)
	duties := []float64{1}
	if s.opts.Duty > 0 && s.opts.Duty < 1 {
		duties = append(duties, s.opts.Duty)
	}
	if !slices.Contains(duties, slower) {
		duties = append(duties, slower)
	}
	for _, duty := range duties {
		p.Durations = append(p.Durations, Duration{Duty: duty, Seconds: full / duty})
	}
	if err := s.bloat(ctx, &p, float64(s.rows)/float64(m.Keys)); err != nil {
		return err
	}
	s.report.Forecast = &p
	return nil
}

// measure sums up what passed. Times are those of the size that was tried last.
func (s *stage) measure() Measured {
	last := s.lastSize()
	m := Measured{Batches: len(s.passed), BatchSize: last[0].size, MedianMS: milliseconds(percentile(last, 50)), P90MS: milliseconds(p90(last))}
	var keys int64
	var took time.Duration
	for _, l := range last {
		keys, took = keys+l.keys, took+l.took
	}
	m.KeysPerSec = float64(keys) / max(took, time.Microsecond).Seconds()
	var wal int64
	for _, b := range s.report.Batches {
		if b.Failure == nil {
			m.Keys, m.Rows, wal = m.Keys+b.Keys, m.Rows+b.Rows, wal+b.WALBytes
		}
	}
	m.WALPerRow = share(wal, m.Rows)
	main := s.main()
	m.HOTShare = share(main.HOT, main.Updated)
	return m
}

// left estimates how many rows there are still to do.
func (s *stage) left(ctx context.Context) (err error) {
	if s.rows, err = s.Rows(ctx); err != nil {
		return err
	}
	if s.rows < 0 || s.rows == 0 && s.spread.Rows > 0 {
		s.rows, s.guess = s.spread.Rows, true
	}
	return nil
}

const sizeSQL = `
SELECT coalesce(sum(pg_catalog.pg_table_size(relid)), 0)::bigint, coalesce(sum(pg_catalog.pg_indexes_size(relid)), 0)::bigint,
  coalesce(sum(greatest(c.reltuples, 0)), 0)::float8
FROM (SELECT $1::oid::regclass AS relid UNION SELECT relid FROM pg_catalog.pg_partition_tree($1::oid::regclass)) p JOIN pg_catalog.pg_class c ON c.oid = p.relid
WHERE c.relkind = 'r'`

// bloat works out what is left behind for vacuum, for times as many rows as were tried.
func (s *stage) bloat(ctx context.Context, p *Projected, times float64) error {
	var table, indexes int64
	var rows float64
	if err := s.Conn().QueryRow(ctx, sizeSQL, control.Once, s.subject.OID).Scan(&table, &indexes, &rows); err != nil {
		return fmt.Errorf("look up the size of %s: %w", s.subject.Table, err)
	}
	p.SizeBefore = table + indexes
	rows = max(rows, float64(p.Keys), 1)
	for _, w := range s.report.Writes {
		p.DeadRows += int64(math.Round(times * float64(w.Updated+w.Deleted)))
	}
	for _, b := range s.report.Batches {
		p.WALBytes += int64(math.Round(times * float64(b.WALBytes)))
	}
	main := s.main()
	p.TableBytes = int64(times * float64(main.Updated+main.Inserted) * float64(table) / rows)
	p.IndexBytes = int64(times * float64(main.Updated-main.HOT+main.Inserted) * float64(indexes) / rows)
	return nil
}

func p90(samples []sample) time.Duration { return percentile(samples, 90) }

// percentile is by nearest rank, of the Work's own time.
func percentile(samples []sample, of int) time.Duration {
	sorted := make([]time.Duration, len(samples))
	for i, s := range samples {
		sorted[i] = s.work
	}
	slices.Sort(sorted)
	return sorted[max((len(sorted)*of+99)/100-1, 0)]
}
