package rehearsal

import (
	"context"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/bbmd-dev/bbmd/internal/control"
)

// meter reads what a transaction does, from the counters that PostgreSQL keeps
// for it. They go on from one transaction to the next, so that what counts is the difference.
type meter struct {
	target uint32
	lsn    string
	tables map[uint32]counters
	wal    int64
	writes []tableWrite
}

// counters are a session's, of one table.
type counters struct{ seqScans, seqRows, inserted, updated, hot, deleted int64 }

// tableWrite is what a batch did to a table, partitions under their parent's name.
type tableWrite struct {
	oid     uint32
	name    string
	inMain  bool // it is the migration's table, or one of its partitions
	changes counters
}

const countersSQL = `
SELECT s.relid, coalesce(s.seq_scan, 0), coalesce(s.seq_tup_read, 0), s.n_tup_ins, s.n_tup_upd, s.n_tup_hot_upd, s.n_tup_del,
  format('%I.%I', s.schemaname, s.relname), s.relid IN (SELECT $1::oid UNION SELECT relid FROM pg_catalog.pg_partition_tree($1::oid::regclass))
FROM pg_catalog.pg_stat_xact_user_tables s
WHERE coalesce(s.seq_scan, 0) + s.n_tup_ins + s.n_tup_upd + s.n_tup_del > 0`

func (m *meter) before(ctx context.Context, conn *pgx.Conn) error {
	m.tables = make(map[uint32]counters)
	err := m.read(ctx, conn, func(w tableWrite) { m.tables[w.oid] = w.changes })
	if err != nil {
		return err
	}
	if err := conn.QueryRow(ctx, "SELECT pg_current_wal_insert_lsn()::text", control.Once).Scan(&m.lsn); err != nil {
		return fmt.Errorf("read the WAL position: %w", err)
	}
	return nil
}

func (m *meter) after(ctx context.Context, conn *pgx.Conn) error {
	if err := conn.QueryRow(ctx, "SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), $1::text::pg_lsn)::bigint", control.Once, m.lsn).Scan(&m.wal); err != nil {
		return fmt.Errorf("read the WAL position: %w", err)
	}
	return m.read(ctx, conn, func(w tableWrite) {
		if w.changes.subtract(m.tables[w.oid]); w.changes != (counters{}) {
			m.writes = append(m.writes, w)
		}
	})
}

func (m *meter) read(ctx context.Context, conn *pgx.Conn, each func(tableWrite)) error {
	rows, err := conn.Query(ctx, countersSQL, control.Once, m.target)
	if err != nil {
		return fmt.Errorf("read the session's counters: %w", err)
	}
	var w tableWrite
	c := &w.changes
	_, err = pgx.ForEachRow(rows, []any{&w.oid, &c.seqScans, &c.seqRows, &c.inserted, &c.updated, &c.hot, &c.deleted, &w.name, &w.inMain}, func() error {
		each(w)
		return nil
	})
	if err != nil {
		return fmt.Errorf("read the session's counters: %w", err)
	}
	return nil
}

func (c *counters) subtract(o counters) {
	*c = counters{
		c.seqScans - o.seqScans, c.seqRows - o.seqRows, c.inserted - o.inserted, c.updated - o.updated, c.hot - o.hot, c.deleted - o.deleted,
	}
}

// hotShare is the share of HOT updates of the migration's table; nil: there were no updates.
func (m *meter) hotShare() *float64 {
	var updated, hot int64
	for _, w := range m.writes {
		if w.inMain {
			updated, hot = updated+w.changes.updated, hot+w.changes.hot
		}
	}
	return share(hot, updated)
}

// share is part/whole; nil where there is no whole.
func share(part, whole int64) *float64 {
	if whole == 0 {
		return nil
	}
	s := float64(part) / float64(whole)
	return &s
}

// merge adds what a batch did to the report.
func (s *stage) merge(writes []tableWrite) {
	r := s.report
	for _, w := range writes {
		name, c := w.name, w.changes
		if w.inMain {
			name = r.Table
		}
		s.scanned[name] += c.seqRows
		if c.inserted+c.updated+c.deleted == 0 {
			continue
		}
		i := slices.IndexFunc(r.Writes, func(o Write) bool { return o.Table == name })
		if i < 0 {
			r.Writes, i = append(r.Writes, Write{Table: name, oid: w.oid}), len(r.Writes)
		}
		t := &r.Writes[i]
		t.Inserted, t.Updated, t.HOT, t.Deleted = t.Inserted+c.inserted, t.Updated+c.updated, t.HOT+c.hot, t.Deleted+c.deleted
	}
}
