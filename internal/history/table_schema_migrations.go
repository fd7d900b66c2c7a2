package history

import (
	"context"
	"fmt"
	"strconv"

	"github.com/jackc/pgx/v5"
)

// Four tools name their table schema_migrations, and tell each other apart by
// its columns.

func golangMigrateSignature() signature {
	return signature{
		tool:    GolangMigrate,
		table:   "schema_migrations",
		columns: map[string]kind{"version": integer, "dirty": boolean},
		exact:   true,
		read:    readGolangMigrate,
	}
}

func readGolangMigrate(ctx context.Context, db DB, t *found) (state, error) {
	rows, err := db.Query(ctx, "SELECT version::bigint, dirty FROM "+t.sql()+" ORDER BY 1")
	if err != nil {
		return state{}, err
	}
	type row struct {
		Version int64
		Dirty   bool
	}
	versions, err := pgx.CollectRows(rows, pgx.RowToStructByPos[row])
	if err != nil {
		return state{}, err
	}
	st := state{remedy: "migrate force VERSION"}
	if len(versions) > 1 {
		st.dirty = fmt.Sprintf("the table has %d rows, and golang-migrate keeps one", len(versions))
	}
	for _, v := range versions {
		version := strconv.FormatInt(v.Version, 10)
		switch {
		case v.Dirty && v.Version < 0: // it was interrupted on the way down to nothing
			st.dirty = "a migration began and did not finish, on the way to an empty schema (the row is dirty)"
		case v.Dirty:
			st.applied = append(st.applied, version)
			st.dirty = "version " + version + " began and did not finish (its row is dirty)"
			st.remedy = "migrate force VERSION, with the version that the schema is at by then"
		case v.Version >= 0:
			st.applied = append(st.applied, version)
		}
	}
	st.current = last(st.applied)
	return st, nil
}

func ectoSignature() signature {
	return signature{
		tool:    Ecto,
		table:   "schema_migrations",
		columns: map[string]kind{"version": integer, "inserted_at": moment},
		exact:   true,
		read: list("version", "ORDER BY version",
			"INSERT INTO schema_migrations (version, inserted_at) VALUES (VERSION, now()), for every version"),
	}
}

// railsMetadata is the second table of Rails, since version 5.
const railsMetadata = "ar_internal_metadata"

func railsSignature() signature {
	return signature{
		tool:       Rails,
		table:      "schema_migrations",
		columns:    map[string]kind{"version": text},
		exact:      true,
		fits:       func(t *found) bool { return t.sibling(railsMetadata, "key", "value") != nil },
		companions: []string{railsMetadata},
		read: list("version", numerically("version"),
			"INSERT INTO schema_migrations (version) VALUES ('VERSION'), for every version (bin/rails db:schema:load does)"),
	}
}

func dbmateSignature() signature {
	return signature{
		tool:    Dbmate,
		table:   "schema_migrations",
		columns: map[string]kind{"version": text},
		exact:   true,
		read:    list("version", "ORDER BY version", "INSERT INTO schema_migrations (version) VALUES ('VERSION'), for every version"),
	}
}

// numerically orders texts of digits as numbers, as their length may vary.
func numerically(column string) string {
	digits := "ltrim(" + column + "::text, '0')"
	return "ORDER BY length(" + digits + "), " + digits + ", " + column
}
