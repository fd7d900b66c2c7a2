package history

import (
	"context"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
)

func flywaySignature() signature {
	return signature{
		tool:  Flyway,
		table: "flyway_schema_history",
		columns: map[string]kind{
			"installed_rank": integer, "version": text, "description": text, "type": text,
			"script": text, "checksum": integer, "success": boolean,
		},
		read: readFlyway,
	}
}

// oldFlywaySignature is the default name before Flyway 5.
func oldFlywaySignature() signature {
	s := flywaySignature()
	s.table = "schema_version"
	return s
}

// flywayRow is a row of Flyway's history: an event, not a state.
type flywayRow struct {
	Version      *string
	Type, Script string
	Success      bool
}

func readFlyway(ctx context.Context, db DB, t *found) (state, error) {
	rows, err := db.Query(ctx, "SELECT version::text, type::text, script::text, success FROM "+t.sql()+" ORDER BY installed_rank")
	if err != nil {
		return state{}, err
	}
	events, err := pgx.CollectRows(rows, pgx.RowToStructByPos[flywayRow])
	if err != nil {
		return state{}, err
	}
	st := state{remedy: "flyway baseline -baselineVersion=VERSION"}
	var failed []string
	for _, e := range events {
		if !e.Success {
			failed = append(failed, e.Script)
			continue
		}
		st.applied = e.apply(st.applied)
	}
	if len(st.applied) > 0 {
		st.current = []string{slices.MaxFunc(st.applied, compareDotted)}
	}
	if len(failed) > 0 {
		st.dirty = strings.Join(failed, ", ") + " failed (success is false)"
		st.remedy = "take back what the script left behind, then: flyway repair"
	}
	return st, nil
}

// apply adds a version, or takes one away: undone, or deleted by a repair.
// Repeatable migrations and the marker for a created schema have none.
func (r flywayRow) apply(applied []string) []string {
	if r.Version == nil || r.Type == "SCHEMA" {
		return applied
	}
	rest := slices.DeleteFunc(applied, func(v string) bool { return v == *r.Version })
	if strings.HasPrefix(r.Type, "UNDO") || r.Type == "DELETE" {
		return rest
	}
	return append(rest, *r.Version)
}

// compareDotted orders 2 before 10 and 1.9 before 1.10.
func compareDotted(a, b string) int {
	parts := func(v string) []string {
		return strings.FieldsFunc(v, func(c rune) bool { return c == '.' || c == '_' })
	}
	return slices.CompareFunc(parts(a), parts(b), compareNumbers)
}

// compareNumbers orders texts of digits as numbers, of any length.
func compareNumbers(a, b string) int {
	a, b = strings.TrimLeft(a, "0"), strings.TrimLeft(b, "0")
	if len(a) != len(b) {
		return len(a) - len(b)
	}
	return strings.Compare(a, b)
}
