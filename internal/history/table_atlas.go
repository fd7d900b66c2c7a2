package history

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
)

func atlasSignature() signature {
	return signature{
		tool:  Atlas,
		table: "atlas_schema_revisions",
		columns: map[string]kind{
			"version": text, "description": text, "type": integer, "applied": integer,
			"total": integer, "executed_at": moment, "hash": text,
		},
		read: readAtlas,
	}
}

// readAtlas leaves out rows that begin with a dot: Atlas keeps an identifier
// of its own in one.
func readAtlas(ctx context.Context, db DB, t *found) (state, error) {
	message := "''"
	if t.column("error") == text {
		message = "coalesce(error, '')"
	}
	rows, err := db.Query(ctx, "SELECT version::text, applied::bigint, total::bigint, "+message+" FROM "+t.sql()+` WHERE version NOT LIKE '.%' ORDER BY version COLLATE "C"`)
	if err != nil {
		return state{}, err
	}
	type row struct {
		Version        string
		Applied, Total int64
		Error          string
	}
	revisions, err := pgx.CollectRows(rows, pgx.RowToStructByPos[row])
	if err != nil {
		return state{}, err
	}
	st := state{remedy: "atlas migrate set VERSION"}
	for _, r := range revisions {
		if r.Applied >= r.Total {
			st.applied = append(st.applied, r.Version)
			continue
		}
		st.dirty = fmt.Sprintf("%d of the %d statements of version %s were applied", r.Applied, r.Total, r.Version)
		if r.Error != "" {
			st.dirty += ": " + strings.Join(strings.Fields(r.Error), " ")
		}
		st.remedy = "mend the cause, then: atlas migrate apply; or say where it is: atlas migrate set VERSION"
	}
	st.current = last(st.applied)
	return st, nil
}
