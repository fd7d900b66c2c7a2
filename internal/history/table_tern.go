package history

import (
	"context"
	"fmt"
)

func ternSignature() signature {
	return signature{
		tool:    Tern,
		table:   "schema_version",
		columns: map[string]kind{"version": integer},
		exact:   true,
		read:    readTern,
	}
}

// readTern reads the one row, which holds 0 where nothing was applied.
func readTern(ctx context.Context, db DB, t *found) (state, error) {
	rows, err := column(ctx, db, "SELECT version::text FROM "+t.sql()+" ORDER BY version")
	if err != nil {
		return state{}, err
	}
	st := state{applied: rows, remedy: "UPDATE " + t.sql() + " SET version = VERSION"}
	switch {
	case len(rows) == 0:
		st.dirty = "the table has no row, without which tern refuses it"
		st.remedy = "INSERT INTO " + t.sql() + " (version) VALUES (0)"
	case len(rows) > 1:
		st.dirty = fmt.Sprintf("the table has %d rows, and tern keeps one", len(rows))
		st.remedy = "delete the rows that are wrong from " + t.String()
	case rows[0] == "0":
		st.applied = nil
	}
	st.current = last(st.applied)
	return st, nil
}
