package catalog

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/jackc/pgx/v5"
)

// Snapshot is the schema of a database. It is a plain value: two of them are
// the same when their fields are, and JSON keeps all of it. The zero value is the
// schema of an empty database.
type Snapshot struct {
	// Objects in order of kind, schema and name.
	Objects []Definition `json:"objects"`
}

// Definition is one object and all that is compared of it.
type Definition struct {
	// Kind is PostgreSQL's word for it: table, view, enum, domain, function…
	Kind string `json:"kind"`
	// Schema is empty for what lies in none: extension, schema, cast.
	Schema string `json:"schema,omitempty"`
	// Name as in the catalog, not quoted; a function's has the types of its
	// arguments in parentheses.
	Name string `json:"name"`
	// Properties by name, as PostgreSQL writes them. What an object does not
	// have is not there.
	Properties map[string]string `json:"properties,omitempty"`
	// Parts in order of kind and name.
	Parts []Part `json:"parts,omitempty"`
}

// Part is a column, a constraint, an index, a trigger, a rule or a policy of an object.
type Part struct {
	Kind       string            `json:"kind"`
	Name       string            `json:"name"`
	Properties map[string]string `json:"properties,omitempty"`
}

// Take reads the schema of a database, in a read-only transaction, or a
// savepoint when db is a transaction, that is rolled back.
func Take(ctx context.Context, db DB, options Options) (Snapshot, error) {
	var snapshot Snapshot
	err := reading(ctx, db, func(tx pgx.Tx) error {
		rows, err := readDefinitions(ctx, tx, options)
		snapshot = assemble(rows)
		return err
	})
	if err != nil {
		return Snapshot{}, fmt.Errorf("take a snapshot of the schema: %w", err)
	}
	return snapshot, nil
}

// reading runs a function in a transaction that sees one snapshot of the data,
// in which PostgreSQL writes every name with its schema and every value in one way.
func reading(ctx context.Context, db DB, read func(tx pgx.Tx) error) (err error) {
	tx, err := db.Begin(ctx)
	if err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	defer func() {
		// Rolled back, not committed: in a savepoint the settings would outlive it.
		if rollback := tx.Rollback(context.WithoutCancel(ctx)); err == nil && !errors.Is(rollback, pgx.ErrTxClosed) {
			err = rollback
		}
	}()
	settings := settingsSQL
	if _, nested := db.(pgx.Tx); !nested {
		settings = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY;" + settingsSQL
	}
	if _, err := tx.Exec(ctx, settings); err != nil {
		return fmt.Errorf("set up the transaction: %w", err)
	}
	return read(tx)
}

const settingsSQL = `SET LOCAL search_path = pg_catalog, pg_temp; SET LOCAL quote_all_identifiers = off; SET LOCAL datestyle = 'ISO, MDY';
	SET LOCAL intervalstyle = postgres; SET LOCAL timezone = 'UTC'; SET LOCAL extra_float_digits = 1; SET LOCAL bytea_output = hex; SET LOCAL lc_monetary = 'C'; SET LOCAL xmlbinary = base64`

// definitionRow is an object, or one part of it when PartKind is not empty.
type definitionRow struct {
	object     identity
	part       partKey
	properties map[string]string
}

// identity tells objects apart.
type identity struct{ kind, schema, name string }

// partKey tells the parts of an object apart.
type partKey struct{ kind, name string }

func (a identity) compare(b identity) int {
	return cmp.Or(cmp.Compare(a.kind, b.kind), cmp.Compare(a.schema, b.schema), cmp.Compare(a.name, b.name))
}

func (a partKey) compare(b partKey) int {
	return cmp.Or(cmp.Compare(a.kind, b.kind), cmp.Compare(a.name, b.name))
}

func (d Definition) identity() identity { return identity{d.Kind, d.Schema, d.Name} }

func (p Part) key() partKey { return partKey{p.Kind, p.Name} }

// readDefinitions asks all of the queries in one round trip.
func readDefinitions(ctx context.Context, tx pgx.Tx, options Options) ([]definitionRow, error) {
	var batch pgx.Batch
	var all []definitionRow
	for _, sql := range definitionQueries() {
		batch.Queue(definitionsSQL+sql, options.arguments()...).Query(func(rows pgx.Rows) error {
			some, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (definitionRow, error) {
				var d definitionRow
				err := row.Scan(&d.object.kind, &d.object.schema, &d.object.name, &d.part.kind, &d.part.name, &d.properties)
				if len(d.properties) == 0 {
					d.properties = nil // as it comes back from JSON
				}
				return d, err
			})
			all = append(all, some...)
			return err
		})
	}
	if err := tx.SendBatch(ctx, &batch).Close(); err != nil {
		return nil, err
	}
	return all, nil
}

// assemble puts parts to their objects, in order.
func assemble(rows []definitionRow) Snapshot {
	objects := make(map[identity]*Definition)
	for _, r := range rows {
		if r.part == (partKey{}) {
			objects[r.object] = &Definition{Kind: r.object.kind, Schema: r.object.schema, Name: r.object.name, Properties: r.properties}
		}
	}
	for _, r := range rows {
		if o := objects[r.object]; o != nil && r.part != (partKey{}) {
			o.Parts = append(o.Parts, Part{Kind: r.part.kind, Name: r.part.name, Properties: r.properties})
		}
	}
	s := Snapshot{Objects: make([]Definition, 0, len(objects))}
	for _, key := range slices.SortedFunc(maps.Keys(objects), identity.compare) {
		o := objects[key]
		slices.SortFunc(o.Parts, func(a, b Part) int { return a.key().compare(b.key()) })
		s.Objects = append(s.Objects, *o)
	}
	return s
}
