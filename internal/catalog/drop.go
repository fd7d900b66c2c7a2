package catalog

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"
)

// DropOptions say what [Drop] keeps.
type DropOptions struct {
	// Keep are schemas, not quoted, that stay as they are, with their tables,
	// functions and types: bbmd's control schema.
	Keep []string
	// Extensions drops extensions as well, but for plpgsql. By default they
	// stay, and so do the schemas that hold them.
	Extensions bool
}

// DropError says what cannot be dropped. Nothing was dropped.
type DropError struct {
	// Role is the role that tried.
	Role     string
	Refusals []Refusal
}

// Refusal is an object that cannot be dropped.
type Refusal struct {
	Object Object `json:"object"`
	Reason string `json:"reason"`
}

// Error names the objects and says what to do.
func (e *DropError) Error() string { return "" }

// Drop drops what users have made: all that is in their schemas, the schemas,
// large objects, and, as far as the role owns them, what hangs on no schema and
// would be in the way of running migrations again (publications, foreign
// servers, casts, event triggers). It returns what it dropped.
//
// Schema public stays, with its owner, grants, comment and default privileges;
// it is made anew where it is absent. A schema that holds an extension, or that the role does
// not own, stays too, emptied. Roles, tablespaces, settings and default
// privileges of the database are untouched.
//
// Before anything is dropped, Drop looks for what it may not drop, and returns
// a [*DropError] that names it all. Afterwards it checks that what was to be kept is whole,
// and that nothing is left. After any error roll tx back.
func Drop(ctx context.Context, tx pgx.Tx, options DropOptions) ([]Object, error) {
	return nil, errors.ErrUnsupported
}
