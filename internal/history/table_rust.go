package history

import (
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
		read: listWithFailed("version", "WHERE success ORDER BY version", "WHERE NOT success ORDER BY version",
			"INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) with the SHA-384 of every file, and -1",
			func(t *found, failed []string) (dirty, remedy string) {
				versions := strings.Join(failed, ", ")
				return fmt.Sprintf("version %s began and did not finish (success is false)", versions),
					fmt.Sprintf("take back what it left behind, then: DELETE FROM %s WHERE version IN (%s)", t.sql(), versions)
			}),
	}
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
