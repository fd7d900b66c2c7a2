package main

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/bbmd-dev/bbmd/internal/terminal"
)

// muchWAL is how much WAL a slot may keep before it is told: a backfill writes
// several times the size of its table.
const muchWAL = 1 << 30

const slotsSQL = `
SELECT slot_name::text, active, coalesce(pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_current_wal_lsn(), restart_lsn), 0)::bigint
FROM pg_catalog.pg_replication_slots ORDER BY 1`

const archiverSQL = `
SELECT current_setting('archive_mode'), coalesce(last_failed_time > coalesce(last_archived_time, '-infinity'), false), coalesce(last_failed_wal, '')
FROM pg_catalog.pg_stat_archiver`

// checkWAL finds who keeps WAL from being removed, which a backfill writes a lot of.
func checkWAL(ctx context.Context, p *patient) (string, error) {
	var mode, file string
	var failing bool
	if err := p.conn.QueryRow(ctx, archiverSQL).Scan(&mode, &failing, &file); err != nil {
		return "", err
	}
	var found problems
	if mode != "off" && failing {
		found = append(found, fail("the archiver fails, last with "+file, whyWAL, "mend archive_command; the server's log says what is wrong"))
	}
	rows, err := p.conn.Query(ctx, slotsSQL)
	if err != nil {
		return "", err
	}
	var name string
	var active bool
	var kept int64
	slots := 0
	_, err = pgx.ForEachRow(rows, []any{&name, &active, &kept}, func() error {
		slots++
		found = append(found, judgeSlot(name, active, kept)...)
		return nil
	})
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("archive_mode %s, replication slots: %d", mode, slots), found.orNil()
}

const whyWAL = "WAL stays on the server until it has gone there, and a backfill writes several times its table"

// judgeSlot says what it means that a slot keeps so many bytes.
func judgeSlot(name string, active bool, kept int64) problems {
	switch {
	case kept <= muchWAL:
		return nil
	case active:
		return problems{warn(fmt.Sprintf("the reader of slot %s is %s behind", name, terminal.Bytes(kept)), whyWAL,
			"let it catch up; throttle.replica_lag holds migrations back for standbys")}
	default:
		return problems{warn(fmt.Sprintf("slot %s keeps %s of WAL, and nobody reads from it", name, terminal.Bytes(kept)), whyWAL,
			"start its reader, drop it with pg_drop_replication_slot, or bound it with max_slot_wal_keep_size")}
	}
}
