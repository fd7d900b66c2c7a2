package history

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
)

const liquibaseLock = "databasechangeloglock"

func liquibaseSignature() signature {
	return signature{
		tool:  Liquibase,
		table: "databasechangelog",
		columns: map[string]kind{
			"id": text, "author": text, "filename": text, "dateexecuted": moment,
			"orderexecuted": integer, "exectype": text, "md5sum": text,
		},
		companions: []string{liquibaseLock},
		read:       readLiquibase,
	}
}

// readLiquibase names a change set as Liquibase does: file::id::author.
func readLiquibase(ctx context.Context, db DB, t *found) (state, error) {
	read := list("filename || '::' || id || '::' || author", "WHERE exectype <> 'FAILED' ORDER BY dateexecuted, orderexecuted", "liquibase changelog-sync")
	st, err := read(ctx, db, t)
	if err != nil {
		return state{}, err
	}
	lock := t.sibling(liquibaseLock, "locked", "lockedby", "lockgranted")
	if lock == nil {
		return st, nil
	}
	if err := lock.visible(); err != nil {
		return state{}, fmt.Errorf("read %s: %w", lock, err)
	}
	rows, err := db.Query(ctx, "SELECT concat_ws(' since ', coalesce(lockedby::text, 'somebody'), lockgranted::text) FROM "+lock.sql()+" WHERE locked")
	if err != nil {
		return state{}, err
	}
	holders, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if len(holders) > 0 {
		st.dirty = fmt.Sprintf("%s is held by %s: Liquibase is at work, or was killed", lock, strings.Join(holders, ", "))
		st.remedy = "if no Liquibase runs: liquibase release-locks"
	}
	return st, err
}
