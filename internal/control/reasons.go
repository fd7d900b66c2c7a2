package control

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
)

// How reasons begin that only hold while a daemon is there.
const (
	ReasonBusy = "waits for a free worker"
	ReasonOff  = "background migrations are switched off"
	ReasonTurn = "waits for its turn" // is on no row: Progress says it
)

// OfDaemon reports whether a reason only holds while a daemon is there.
func OfDaemon(reason string) bool {
	return strings.HasPrefix(reason, ReasonBusy) || strings.HasPrefix(reason, ReasonOff) || strings.HasPrefix(reason, ReasonTurn)
}

// workedOn is true of a migration m that a worker of any replica is at.
const workedOn = `EXISTS (SELECT FROM pg_catalog.pg_locks WHERE locktype = 'advisory' AND classid = 7703 AND objsubid = 2 AND granted
  AND objid::bigint / 64 = m.id AND database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database()))`

// Rows that somebody else changes just now are left to him.
const setReasonsSQL = `WITH given AS (
  SELECT * FROM unnest($1::int[], $2::text[]) AS g(id, reason)
), open AS (
  SELECT m.id, g.reason FROM bbm.batched_background_migrations m JOIN given g ON g.id = m.id
  WHERE m.status IN ('active', 'running') AND m.status_reason IS DISTINCT FROM nullif(g.reason, '') AND NOT ` + workedOn + `
  ORDER BY m.id FOR NO KEY UPDATE OF m SKIP LOCKED
), changed AS (
  UPDATE bbm.batched_background_migrations m SET status_reason = nullif(open.reason, '') FROM open WHERE m.id = open.id RETURNING m.name
)
SELECT name FROM changed, pg_notify('bbm_progress', name) ORDER BY name`

// SetReasons writes why migrations wait, by their ids, and raises bbm_progress for people
// watching. It returns the names of those of which the row did not say so already; those that a worker
// is at, and those that somebody else changes at the moment, are left alone.
func (s Store) SetReasons(ctx context.Context, db DB, reasons map[int32]string) (changed []string, err error) {
	ids, texts := make([]int32, 0, len(reasons)), make([]string, 0, len(reasons))
	for id, reason := range reasons {
		ids, texts = append(ids, id), append(texts, reason)
	}
	return s.reasons(ctx, db, setReasonsSQL, ids, texts)
}

const switchedOffSQL = `WITH open AS (
  SELECT m.id FROM bbm.batched_background_migrations m
  WHERE m.status IN ('active', 'running') AND (m.status_reason IS NULL OR starts_with(m.status_reason, $2) OR starts_with(m.status_reason, $3))
    AND m.status_reason IS DISTINCT FROM $1 AND NOT ` + workedOn + `
  ORDER BY m.id FOR NO KEY UPDATE OF m SKIP LOCKED
), changed AS (
  UPDATE bbm.batched_background_migrations m SET status_reason = $1 FROM open WHERE m.id = open.id RETURNING m.name
)
SELECT name FROM changed, pg_notify('bbm_progress', name) ORDER BY name`

// SayOff writes of all migrations that wait, without another reason, that background migrations
// are switched off. The reason begins with [ReasonOff]. It returns the names of those of which the row did
// not say so already.
func (s Store) SayOff(ctx context.Context, db DB, reason string) (changed []string, err error) {
	return s.reasons(ctx, db, switchedOffSQL, reason, ReasonBusy, ReasonOff)
}

func (s Store) reasons(ctx context.Context, db DB, sql string, args ...any) ([]string, error) {
	rows, err := db.Query(ctx, s.sql(sql), args...)
	if err != nil {
		return nil, fmt.Errorf("record why migrations wait: %w", err)
	}
	changed, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("record why migrations wait: %w", err)
	}
	return changed, nil
}
