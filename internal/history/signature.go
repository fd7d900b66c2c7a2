package history

import (
	"context"
	"maps"
	"slices"

	"github.com/jackc/pgx/v5"
)

// kind is a class of column types between which tools and their versions
// vary.
type kind int

const (
	none kind = iota // there is no such column
	other
	text
	integer
	boolean
	moment
	document
	binary
)

func kindOf(typeName string) kind {
	switch typeName {
	case "text", "varchar", "bpchar", "name", "citext":
		return text
	case "int2", "int4", "int8":
		return integer
	case "bool":
		return boolean
	case "timestamp", "timestamptz":
		return moment
	case "json", "jsonb":
		return document
	case "bytea":
		return binary
	default:
		return other
	}
}

// signature says how one tool's version table looks, and how it is read.
type signature struct {
	tool    Tool
	table   string // its default name, in the case that the tool gives it
	columns map[string]kind
	// exact: no other columns, as the name is one that many use.
	exact bool
	// fits is a further condition. Nil: none.
	fits func(*found) bool
	// anyName: columns that nobody else has, together with fits, are enough.
	anyName bool
	// companions are further tables of the tool in the schema.
	companions []string
	read       func(context.Context, DB, *found) (state, error)
}

// state is what is read from a version table.
type state struct {
	applied, current []string
	dirty, remedy    string
}

// signatures are those of all tools. Of those that fit, the first counts.
func signatures() []signature {
	return []signature{
		alembicSignature(), alembicNamedSignature(), gooseSignature(), gooseNamedSignature(),
		golangMigrateSignature(), ectoSignature(), railsSignature(), dbmateSignature(),
		ternSignature(), flywaySignature(), oldFlywaySignature(), liquibaseSignature(),
		pgrollSignature(), laravelSignature(), typeORMSignature(),
		djangoSignature(), prismaSignature(), knexSignature(), sequelizeSignature(), nodePgMigrateSignature(), drizzleSignature(),
		atlasSignature(), sqlxSignature(), dieselSignature(), refinerySignature(), efCoreSignature(), efCoreSnakeSignature(),
	}
}

func (s signature) matches(t *found) bool {
	if t.Name != s.table && !s.anyName {
		return false
	}
	for name, want := range s.columns {
		if t.column(name) != want {
			return false
		}
	}
	if (s.exact || s.anyName) && len(t.Columns) != len(s.columns) {
		return false
	}
	return s.fits == nil || s.fits(t)
}

func (s signature) record(ctx context.Context, db DB, t *found) (Record, error) {
	r := Record{Tool: s.tool, Schema: t.Schema, Table: t.Name}
	for _, name := range slices.Sorted(maps.Keys(t.siblings)) {
		if slices.Contains(s.companions, name) {
			r.Companions = append(r.Companions, name)
		}
	}
	if err := t.visible(); err != nil {
		return Record{}, err
	}
	st, err := s.read(ctx, db, t)
	if err != nil {
		return Record{}, err
	}
	r.Applied, r.Current, r.Dirty, r.Remedy = st.applied, st.current, st.dirty, st.remedy
	return r, nil
}

// column reads a column of texts, which the query casts.
func column(ctx context.Context, db DB, sql string) ([]string, error) {
	rows, err := db.Query(ctx, sql)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}

// list reads a table that has a row per applied version, which is an
// expression, in an order. The last row is the current version.
func list(what, order, remedy string) func(context.Context, DB, *found) (state, error) {
	return func(ctx context.Context, db DB, t *found) (state, error) {
		applied, err := column(ctx, db, "SELECT ("+what+")::text FROM "+t.sql()+" "+order)
		if err != nil {
			return state{}, err
		}
		return state{applied: applied, current: last(applied), remedy: remedy}, nil
	}
}

// listWithFailed is list for a table that also has rows of what began and did not finish, about which
// say says what is wrong and what mends it.
func listWithFailed(what, applied, failed, remedy string, say func(t *found, failed []string) (dirty, remedy string)) func(context.Context, DB, *found) (state, error) {
	return func(ctx context.Context, db DB, t *found) (state, error) {
		st, err := list(what, applied, remedy)(ctx, db, t)
		if err != nil {
			return state{}, err
		}
		rows, err := column(ctx, db, "SELECT ("+what+")::text FROM "+t.sql()+" "+failed)
		if len(rows) > 0 {
			st.dirty, st.remedy = say(t, rows)
		}
		return st, err
	}
}

// last returns the last element as a slice, or nil.
func last(versions []string) []string {
	if len(versions) == 0 {
		return nil
	}
	return slices.Clone(versions[len(versions)-1:])
}
