package catalog

import (
	"context"
	"errors"
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
	return Snapshot{}, errors.ErrUnsupported
}
