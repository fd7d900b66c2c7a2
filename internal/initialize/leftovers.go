package initialize

import (
	"context"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/bbmd-dev/bbmd/internal/control"
)

// endTimeout is how long sessions may take to end after they were told to.
const endTimeout = time.Minute

// endLeftovers ends the sessions that a killed run's runner, or the programs
// that it had started, still have: whoever holds the lock knows that nobody is to be at work. It
// returns what it ended.
func endLeftovers(ctx context.Context, conn *pgx.Conn) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, endTimeout)
	defer cancel()
	var ended []string
	for first := true; ; first = false {
		rows, err := conn.Query(ctx, `SELECT format('session %s (%s) since %s', pid, application_name, backend_start::timestamptz(0)), pg_terminate_backend(pid)
			FROM pg_catalog.pg_stat_activity WHERE datname = current_database() AND starts_with(application_name, $1) AND pid <> pg_backend_pid()`, control.Once, applicationPrefix)
		if err != nil {
			return nil, fmt.Errorf("end what a killed run left: %w", err)
		}
		alive, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (who string, err error) {
			err = row.Scan(&who, nil)
			return who, err
		})
		if err != nil {
			return nil, fmt.Errorf("end what a killed run left: %w", err)
		}
		if first {
			ended = alive
		}
		if len(alive) == 0 {
			return ended, nil
		}
		if err := rest(ctx, firstPause); err != nil {
			return nil, fmt.Errorf("end what a killed run left: %s did not end: %w", strings.Join(alive, ", "), err)
		}
	}
}

// clearTimeout is how long to try for the lock on the table of an index that is to be dropped.
const clearTimeout = 30 * time.Second

// leftIndex is an index that a run may have left half done.
type leftIndex struct {
	OID    uint32
	Index  string // as SQL has it
	Table  string
	Name   string
	Valid  bool
	Backed bool // a constraint needs it
}

const newIndexesSQL = `
SELECT i.indexrelid, i.indexrelid::regclass::text, i.indrelid::regclass::text, c.relname, i.indisvalid,
  EXISTS (SELECT FROM pg_catalog.pg_constraint k WHERE k.conindid = i.indexrelid) AS backed
FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid
WHERE c.relkind = 'i' AND i.indexrelid >= 16384 AND c.relnamespace <> 'pg_toast'::regnamespace AND i.indexrelid <> ALL ($1)
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.objid = i.indexrelid AND d.deptype = 'e')
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_stat_progress_create_index p WHERE p.datname = current_database() AND p.relid = i.indrelid)
ORDER BY 1`

// clearIndexes drops the indexes that a run left half done: those that were not
// there before it (known) and are invalid, or that a step which is still to run, outside a
// transaction, is about to create once more. Those on whose table somebody is at work stay. It
// returns what it did, in words.
func clearIndexes(ctx context.Context, conn *pgx.Conn, known []uint32, again func(name string) bool, limits Limits) ([]string, error) {
	rows, err := conn.Query(ctx, newIndexesSQL, known)
	if err != nil {
		return nil, fmt.Errorf("look for indexes that a run left half done: %w", err)
	}
	indexes, err := pgx.CollectRows(rows, pgx.RowToStructByPos[leftIndex])
	if err != nil {
		return nil, fmt.Errorf("look for indexes that a run left half done: %w", err)
	}
	limits.Retry = min(limits.Retry, clearTimeout)
	var did []string
	for _, index := range indexes {
		if index.Backed || index.Valid && !again(index.Name) {
			continue
		}
		dropped, err := dropIndex(ctx, conn, index, limits)
		switch {
		case contended(err):
			did = append(did, fmt.Sprintf("left index %s, which an interrupted run may have left half done: %v", index.Index, err))
		case err != nil:
			return did, fmt.Errorf("drop index %s, which an interrupted run left half done: %w", index.Index, err)
		case dropped:
			did = append(did, "dropped index "+index.Index+", which an interrupted run had left half done")
		}
	}
	return did, nil
}

// dropIndex drops an index unless somebody finishes building it meanwhile, who
// holds a lock on the table until then.
func dropIndex(ctx context.Context, conn *pgx.Conn, index leftIndex, limits Limits) (dropped bool, err error) {
	attempt := func() error {
		return pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
			if err := setLimits(ctx, tx, limits); err != nil {
				return err
			}
			if _, err := tx.Exec(ctx, "LOCK TABLE "+index.Table+" IN ACCESS EXCLUSIVE MODE"); err != nil {
				return err
			}
			err := tx.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_catalog.pg_index WHERE indexrelid = $1 AND indisvalid = $2)", index.OID, index.Valid).Scan(&dropped)
			if err != nil || !dropped {
				return err
			}
			_, err = tx.Exec(ctx, "DROP INDEX "+index.Index)
			return err
		})
	}
	err = limits.retry(ctx, attempt, contended, func(error, time.Duration) {})
	return dropped && err == nil, err
}

// createdAgain returns whether a step that is pending, and runs outside a transaction,
// creates an index of that name by CREATE INDEX CONCURRENTLY, as far as its file tells.
func (f Finding) createdAgain() func(name string) bool {
	var texts []string
	for _, step := range f.comparison.Pending {
		if step.Transactional || step.File == "" {
			continue
		}
		if text, err := os.ReadFile(step.File); err == nil && strings.Contains(strings.ToLower(string(text)), "concurrently") {
			texts = append(texts, string(text))
		}
	}
	return func(name string) bool {
		word := regexp.MustCompile(`(?i)(^|[^\w$])` + regexp.QuoteMeta(name) + `($|[^\w$])`)
		return slices.ContainsFunc(texts, word.MatchString)
	}
}

// setLimits makes the limits those of tx.
func setLimits(ctx context.Context, tx pgx.Tx, limits Limits) error {
	sql := fmt.Sprintf("SET LOCAL lock_timeout = %d; SET LOCAL statement_timeout = %d; SET LOCAL idle_in_transaction_session_timeout = 0; SET LOCAL synchronous_commit = on",
		limits.LockTimeout.Milliseconds(), limits.StatementTimeout.Milliseconds())
	if _, err := tx.Exec(ctx, sql); err != nil {
		return fmt.Errorf("set limits: %w", err)
	}
	return nil
}
