package rehearsal

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/bbmd-dev/bbmd/internal/control"
	"github.com/bbmd-dev/bbmd/internal/terminal"
)

// node is a node of a plan, as EXPLAIN (FORMAT JSON, VERBOSE) prints it.
type node struct {
	Type      string `json:"Node Type"`
	Schema    string `json:"Schema"`
	Relation  string `json:"Relation Name"`
	Index     string `json:"Index Name"`
	IndexCond string `json:"Index Cond"`
	TIDCond   string `json:"TID Cond"`
	Plans     []node `json:"Plans"`
}

// scan is how a plan reads one relation.
type scan struct {
	relation  string // quoted, with its schema
	index     string // empty: none
	condition string // by which the index, or the address, finds the rows; empty: all are read
}

// scans lists how a plan reads its relations. A bitmap's condition is below the node that names the relation.
func (n *node) scans() []scan {
	var all []scan
	if n.Relation != "" && n.Type != "ModifyTable" {
		s := scan{relation: pgx.Identifier{n.Schema, n.Relation}.Sanitize(), index: n.Index, condition: n.IndexCond + n.TIDCond}
		if n.Type == "Bitmap Heap Scan" {
			s.index, s.condition = n.bitmap()
		}
		return append(all, s)
	}
	for i := range n.Plans {
		all = append(all, n.Plans[i].scans()...)
	}
	return all
}

// bitmap returns the first index of a bitmap, and its condition.
func (n *node) bitmap() (index, condition string) {
	for i := range n.Plans {
		p := &n.Plans[i]
		if p.IndexCond != "" {
			return p.Index, p.IndexCond
		}
		if index, condition = p.bitmap(); condition != "" {
			return index, condition
		}
	}
	return "", ""
}

// explain looks at the plan of the statement: does every batch find its own
// rows, and those of other tables, through an index?
func (s *stage) explain(ctx context.Context) error {
	text, lines, err := s.Explain(ctx)
	if err != nil {
		return err
	}
	s.report.Plan = lines
	if text == nil {
		s.report.add(Note, "plan", "the Work is a callback: its statements are not known before they run", "")
		return nil
	}
	var plans []struct{ Plan node }
	if err := json.Unmarshal(text, &plans); err != nil || len(plans) == 0 {
		return fmt.Errorf("read the plan of the statement: %w", err)
	}
	main, err := s.partitions(ctx)
	if err != nil {
		return err
	}
	told := map[string]bool{}
	for _, scan := range plans[0].Plan.scans() {
		own := slices.Contains(main, scan.relation)
		about := scan.relation
		if own {
			about = s.subject.Table // its partitions have one answer
		}
		if told[about] {
			continue
		}
		told[about] = true
		if own {
			s.judgeOwn(scan)
		} else if err := s.judgeOther(ctx, scan); err != nil {
			return err
		}
	}
	return nil
}

// judgeOwn looks at how the migration's own table is read.
func (s *stage) judgeOwn(c scan) {
	const hint = "write the condition so that :range is applied to the table itself, and not to a subquery that cannot use the index"
	switch {
	case c.condition == "":
		s.report.add(Warn, "plan", "every batch reads the whole of "+s.subject.Table, hint)
	case s.subject.Null != "" || s.byKey(c.condition):
		through := "by their address"
		if c.index != "" {
			through = "through the index " + c.index
		}
		s.report.add(OK, "plan", "a batch finds its rows "+through, "")
	default:
		s.report.add(Warn, "plan", fmt.Sprintf("every batch finds its rows through the index %s by %s, which is not the key that the batches walk along", c.index, c.condition), hint)
	}
}

// byKey reports whether a condition is about the range of keys.
func (s *stage) byKey(condition string) bool {
	return strings.Contains(condition, pgx.Identifier{s.subject.Key[0].Name}.Sanitize()) || strings.Contains(condition, s.subject.Key[0].Name)
}

// smallTable is how large a table may be for all of it to be read by every batch.
const smallTable = 1 << 20

// judgeOther looks at how another table is read.
func (s *stage) judgeOther(ctx context.Context, c scan) error {
	if c.condition != "" {
		return nil
	}
	var size int64
	if err := s.Conn().QueryRow(ctx, "SELECT coalesce(pg_catalog.pg_table_size(to_regclass($1)), 0)", control.Once, c.relation).Scan(&size); err != nil {
		return fmt.Errorf("look up the size of %s: %w", c.relation, err)
	}
	if size > smallTable {
		s.report.add(Warn, "plan", fmt.Sprintf("every batch reads the whole of %s, %s", c.relation, terminal.Bytes(size)),
			"create an index on the columns by which its rows are found")
	}
	return nil
}

// partitions returns the migration's table and its partitions.
func (s *stage) partitions(ctx context.Context) ([]string, error) {
	rows, err := s.Conn().Query(ctx, `SELECT DISTINCT n.nspname::text, c.relname::text FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
		WHERE c.oid IN (SELECT $1::oid UNION SELECT relid FROM pg_catalog.pg_partition_tree($1::oid::regclass))`, control.Once, s.subject.OID)
	if err != nil {
		return nil, fmt.Errorf("list the partitions of %s: %w", s.subject.Table, err)
	}
	var all []string
	var name [2]string
	_, err = pgx.ForEachRow(rows, []any{&name[0], &name[1]}, func() error {
		all = append(all, pgx.Identifier(name[:]).Sanitize())
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("list the partitions of %s: %w", s.subject.Table, err)
	}
	return all, nil
}
