package control

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// Replica is a bbmd that has sessions on this database. Those of one address cannot be
// told apart, and are one.
type Replica struct {
	Address   string    `json:"address"` // of the client; "local": through a Unix socket
	Version   string    `json:"version"` // of bbmd; empty: it has not said
	Since     time.Time `json:"since"`   // when the oldest of its sessions began
	Listeners int32     `json:"listeners"`
	Sessions  int32     `json:"sessions"` // all of them, listeners and workers included
	Workers   int32     `json:"workers"`  // places for workers that its sessions hold
	WorksOn   []string  `json:"works_on"` // the migrations that these are of
}

const replicasSQL = `
WITH sessions AS (
  SELECT pid, application_name AS application, coalesce(host(client_addr), 'local') AS address, backend_start
  FROM pg_catalog.pg_stat_activity
  WHERE datname = current_database() AND (application_name LIKE 'bbmd/%' OR application_name LIKE 'bbmd dashboard%')
), slots AS (
  SELECT l.pid, m.name FROM pg_catalog.pg_locks l
  JOIN bbm.batched_background_migrations m ON m.id = l.objid::bigint / 64
  WHERE l.locktype = 'advisory' AND l.classid = 7703 AND l.objsubid = 2 AND l.granted
    AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())
)
SELECT s.address, coalesce(max(split_part(s.application, '@', 2)) FILTER (WHERE s.application ~ '^bbmd/[^/]*@'), ''), min(s.backend_start),
  count(*) FILTER (WHERE s.application IN ('bbmd/listener', 'bbmd/stream'))::int, count(DISTINCT s.pid)::int, count(slots.name)::int,
  coalesce(array_agg(DISTINCT slots.name ORDER BY slots.name) FILTER (WHERE slots.name IS NOT NULL), '{}')
FROM sessions s LEFT JOIN slots USING (pid)
GROUP BY s.address ORDER BY s.address LIMIT 200`

// Replicas returns who of bbmd has sessions on this database, by address. A role
// that may not look into other roles' sessions sees its own.
func (s Store) Replicas(ctx context.Context, db DB) ([]Replica, error) {
	rows, err := db.Query(ctx, s.sql(replicasSQL))
	if err != nil {
		return nil, fmt.Errorf("read the sessions of replicas: %w", err)
	}
	all, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Replica])
	if err != nil {
		return nil, fmt.Errorf("read the sessions of replicas: %w", err)
	}
	return all, nil
}
