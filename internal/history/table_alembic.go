package history

import (
	"context"
)

func alembicSignature() signature {
	return signature{
		tool:    Alembic,
		table:   "alembic_version",
		columns: map[string]kind{"version_num": text},
		read:    readAlembic,
	}
}

// alembicNamedSignature is a table that env.py names with version_table:
// Alembic derives the name of its key from the table's.
func alembicNamedSignature() signature {
	s := alembicSignature()
	s.anyName = true
	s.fits = func(t *found) bool { return t.PrimaryKey == t.Name+"_pkc" }
	return s
}

func readAlembic(ctx context.Context, db DB, t *found) (state, error) {
	rows, err := column(ctx, db, "SELECT version_num::text FROM "+t.sql()+" ORDER BY 1")
	return state{applied: rows, current: rows, remedy: "alembic stamp REVISION"}, err
}
