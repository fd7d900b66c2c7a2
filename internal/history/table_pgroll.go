package history

import (
	"context"
	"strings"

	"github.com/jackc/pgx/v5"
)

// pgrollSignature is the table of pgroll's own schema, pgroll by default.
func pgrollSignature() signature {
	return signature{
		tool:  Pgroll,
		table: "migrations",
		columns: map[string]kind{
			"schema": text, "name": text, "migration": document,
			"parent": text, "done": boolean, "resulting_schema": document,
		},
		companions: []string{"pgroll_version"},
		read:       readPgroll,
	}
}

// readPgroll names a migration schema.name: one table serves all schemas.
func readPgroll(ctx context.Context, db DB, t *found) (state, error) {
	rows, err := db.Query(ctx, `SELECT m.schema || '.' || m.name, m.done,
		NOT EXISTS (SELECT FROM `+t.sql()+` c WHERE c.schema = m.schema AND c.parent = m.name AND c.done)
		FROM `+t.sql()+` m ORDER BY m.created_at, m.schema, m.name`)
	if err != nil {
		return state{}, err
	}
	type row struct {
		Name         string
		Done, Newest bool
	}
	migrations, err := pgx.CollectRows(rows, pgx.RowToStructByPos[row])
	if err != nil {
		return state{}, err
	}
	st := state{remedy: "pgroll baseline VERSION FILE"}
	var active []string
	for _, m := range migrations {
		switch {
		case !m.Done:
			active = append(active, m.Name)
		default:
			st.applied = append(st.applied, m.Name)
			if m.Newest {
				st.current = append(st.current, m.Name)
			}
		}
	}
	if len(active) > 0 {
		st.dirty = strings.Join(active, ", ") + " is started and neither completed nor rolled back"
		st.remedy = "pgroll complete, or pgroll rollback"
	}
	return st, nil
}
