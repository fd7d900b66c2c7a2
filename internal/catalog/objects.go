package catalog

import (
	"context"
	"errors"
)

// UserObjects returns what users have made in the schemas of a database, in
// order of schema, kind and name: relations, types, routines, operators and
// the like, and one entry for all large objects. A database is empty when there
// is none but version tables. Schemas themselves do not count, nor does what is
// not in a schema (publications, event triggers, foreign servers): operators
// prepare those before the first migration. Parts (columns, indexes,
// constraints, sequences that a column owns) count as what they belong to.
func UserObjects(ctx context.Context, db DB, options Options) ([]Object, error) {
	return nil, errors.ErrUnsupported
}
