package history

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
)

func gooseSignature() signature {
	return signature{
		tool:       Goose,
		table:      "goose_db_version",
		columns:    map[string]kind{"id": integer, "version_id": integer, "is_applied": boolean, "tstamp": moment},
		companions: []string{"goose_lock"},
		read:       readGoose,
	}
}

// gooseNamedSignature is a table that goose was told to name otherwise.
func gooseNamedSignature() signature {
	s := gooseSignature()
	s.anyName = true
	return s
}

// readGoose takes any row of a version for applied, as goose does since it has
// providers. Before, the newest row's is_applied counted, so where that is
// false, the two disagree.
func readGoose(ctx context.Context, db DB, t *found) (state, error) {
	rows, err := db.Query(ctx, "SELECT DISTINCT ON (version_id) version_id::bigint, is_applied FROM "+t.sql()+" ORDER BY version_id, id DESC", pgx.QueryExecModeExec)
	if err != nil {
		return state{}, err
	}
	type row struct {
		Version int64
		Applied bool
	}
	versions, err := pgx.CollectRows(rows, pgx.RowToStructByPos[row])
	if err != nil {
		return state{}, err
	}
	var st state
	var undone []string
	for _, v := range versions {
		if v.Version == 0 {
			continue // goose's mark that the table is its own
		}
		st.applied = append(st.applied, strconv.FormatInt(v.Version, 10))
		if !v.Applied {
			undone = append(undone, strconv.FormatInt(v.Version, 10))
		}
	}
	st.current = last(st.applied)
	st.remedy = "INSERT INTO " + t.sql() + " (version_id, is_applied) VALUES (VERSION, true), for 0 and every version"
	switch {
	case len(undone) > 0:
		st.dirty = fmt.Sprintf("the newest row of version %s has is_applied = false: an old goose rolled it back, a new one takes it for applied", strings.Join(undone, ", "))
		st.remedy = fmt.Sprintf("DELETE FROM %s WHERE version_id IN (%s)", t.sql(), strings.Join(undone, ", "))
	case len(versions) == 0:
		st.dirty = "the table has no row, not even the one of version 0, without which goose refuses it"
		st.remedy = "INSERT INTO " + t.sql() + " (version_id, is_applied) VALUES (0, true)"
	}
	return st, nil
}
