package history

import (
	"context"
	"fmt"
	"strings"
)

func sqlxSignature() signature {
	return signature{
		tool:  SQLx,
		table: "_sqlx_migrations",
		columns: map[string]kind{
			"version": integer, "description": text, "installed_on": moment,
			"success": boolean, "checksum": binary, "execution_time": integer,
		},
		read: readSQLx,
	}
}

func readSQLx(ctx context.Context, db DB, t *found) (state, error) {
	read := list("version", "WHERE success ORDER BY version",
		"INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) with the SHA-384 of every file, and -1")
	st, err := read(ctx, db, t)
	if err != nil {
		return state{}, err
	}
	failed, err := column(ctx, db, "SELECT version::text FROM "+t.sql()+" WHERE NOT success ORDER BY version")
	if len(failed) > 0 {
		versions := strings.Join(failed, ", ")
		st.dirty = fmt.Sprintf("version %s began and did not finish (success is false)", versions)
		st.remedy = fmt.Sprintf("take back what it left behind, then: DELETE FROM %s WHERE version IN (%s)", t.sql(), versions)
	}
	return st, err
}

func dieselSignature() signature {
	return signature{
		tool:    Diesel,
		table:   "__diesel_schema_migrations",
		columns: map[string]kind{"version": text, "run_on": moment},
		read: list("version", "ORDER BY version",
			"INSERT INTO __diesel_schema_migrations (version) VALUES ('VERSION'), for every directory"),
	}
}

func refinerySignature() signature {
	return signature{
		tool:    Refinery,
		table:   "refinery_schema_history",
		columns: map[string]kind{"version": integer, "name": text, "applied_on": text, "checksum": text},
		read:    list("version", "ORDER BY version", "refinery migrate --fake"),
	}
}
