package catalog

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
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

// Drop drops what users have made: all that is in their schemas, the schemas,
// large objects, and, as far as the role owns them, what hangs on no schema and
// would be in the way of running migrations again (publications but those of
// kept tables, foreign servers, casts, and event triggers whose function goes).
// It returns what it dropped, parts and what hung on it not counted.
//
// Schema public stays, with its owner, grants, comment and default privileges;
// it is made anew where it is absent. A schema that holds an extension, or that
// the role does not own, stays too, emptied. Roles, tablespaces, and the
// settings and default privileges of the database are untouched; default
// privileges in a schema go with it.
//
// Before anything is dropped, Drop looks for what it may not drop, and returns
// a [*DropError] that names it all. Afterwards it checks that what was to be
// kept is whole, and that nothing else is left. After any error roll tx back.
//
// It locks everything it drops until tx ends; lock_timeout bounds its waiting.
func Drop(ctx context.Context, tx pgx.Tx, options DropOptions) ([]Object, error) {
	plan, err := planDrop(ctx, tx, options)
	if err != nil {
		return nil, err
	}
	before, err := readKept(ctx, tx, options)
	if err != nil {
		return nil, err
	}
	for _, sql := range plan.statements() {
		if _, err := tx.Exec(ctx, sql); err != nil {
			return nil, explainDrop(err)
		}
	}
	if err := restorePublic(ctx, tx); err != nil {
		return nil, err
	}
	if err := checkDropped(ctx, tx, options, before); err != nil {
		return nil, err
	}
	return plan.dropped(), nil
}

const outOfMemory = "53200"

// explainDrop says what to do where PostgreSQL's hint is about something else.
func explainDrop(err error) error {
	var refused *pgconn.PgError
	if errors.As(err, &refused) && refused.Code == outOfMemory {
		return fmt.Errorf("drop the objects of the database: %w: there are more than one transaction can lock; raise max_locks_per_transaction, or drop the database and create it", err)
	}
	return fmt.Errorf("drop the objects of the database: %w", err)
}

// checkDropped reports what is gone that was to be kept, and what is left.
func checkDropped(ctx context.Context, tx pgx.Tx, options DropOptions, before []string) error {
	after, err := readKept(ctx, tx, options)
	if err != nil {
		return err
	}
	there := make(map[string]bool, len(after))
	for _, name := range after {
		there[name] = true
	}
	lost := slices.DeleteFunc(before, func(name string) bool { return there[name] })
	if len(lost) > 0 {
		return fmt.Errorf("drop the objects of the database: %s would go too, because it depends on what is dropped; make it independent, or drop it first", listed(lost))
	}
	left, err := UserObjects(ctx, tx, Options{Exclude: options.Keep})
	if err != nil {
		return err
	}
	if len(left) > 0 {
		return fmt.Errorf("drop the objects of the database: %s came up meanwhile; stop who makes it (a session or an event trigger), then try again", listed(left))
	}
	return nil
}

// keptSQL has everything in the schemas $1, columns and constraints included, and of
// the extensions that stay.
const keptSQL = `
WITH space AS (SELECT oid FROM pg_catalog.pg_namespace WHERE nspname = ANY ($1::text[])),
relation AS (SELECT c.oid FROM pg_catalog.pg_class c JOIN space s ON s.oid = c.relnamespace),
thing (class, oid, part) AS (
  SELECT 'pg_catalog.pg_class'::regclass, oid, 0 FROM relation
  UNION ALL SELECT 'pg_catalog.pg_class'::regclass, a.attrelid, a.attnum FROM pg_catalog.pg_attribute a JOIN relation r ON r.oid = a.attrelid WHERE a.attnum > 0 AND NOT a.attisdropped
  UNION ALL SELECT 'pg_catalog.pg_constraint'::regclass, c.oid, 0 FROM pg_catalog.pg_constraint c JOIN relation r ON r.oid = c.conrelid
  UNION ALL SELECT 'pg_catalog.pg_attrdef'::regclass, d.oid, 0 FROM pg_catalog.pg_attrdef d JOIN relation r ON r.oid = d.adrelid
  UNION ALL SELECT 'pg_catalog.pg_proc'::regclass, p.oid, 0 FROM pg_catalog.pg_proc p JOIN space s ON s.oid = p.pronamespace
  UNION ALL SELECT 'pg_catalog.pg_type'::regclass, t.oid, 0 FROM pg_catalog.pg_type t JOIN space s ON s.oid = t.typnamespace
  UNION ALL SELECT 'pg_catalog.pg_extension'::regclass, e.oid, 0 FROM pg_catalog.pg_extension e WHERE NOT $2 OR e.extname = 'plpgsql'
  UNION ALL SELECT d.classid, d.objid, 0 FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_extension e ON e.oid = d.refobjid
    WHERE d.refclassid = 'pg_catalog.pg_extension'::regclass AND d.deptype = 'e' AND (NOT $2 OR e.extname = 'plpgsql')
)
SELECT i.type || ' ' || i.identity FROM thing t CROSS JOIN LATERAL pg_catalog.pg_identify_object(t.class, t.oid, t.part) i WHERE i.identity IS NOT NULL`

func readKept(ctx context.Context, tx pgx.Tx, options DropOptions) ([]string, error) {
	return column(ctx, tx, "list what is to be kept", keptSQL, append([]string{}, options.Keep...), options.Extensions)
}

// A database whose schema public was dropped gets it as new databases have it,
// but for the right of everybody to create in it, which versions before 15 grant.
const publicSQL = `
SELECT pg_catalog.to_regnamespace('public') IS NULL AND pg_catalog.has_database_privilege(current_database(), 'CREATE'),
  coalesce((SELECT rolname FROM pg_catalog.pg_roles WHERE rolname = 'pg_database_owner' AND pg_catalog.pg_has_role(oid, 'MEMBER')
    AND current_setting('server_version_num')::int >= 150000), 'CURRENT_USER')`

func restorePublic(ctx context.Context, tx pgx.Tx) error {
	var absent bool
	var owner string
	if err := tx.QueryRow(ctx, publicSQL).Scan(&absent, &owner); err != nil {
		return fmt.Errorf("look for schema public: %w", err)
	}
	if !absent {
		return nil
	}
	_, err := tx.Exec(ctx, "CREATE SCHEMA public AUTHORIZATION "+owner+"; GRANT USAGE ON SCHEMA public TO PUBLIC; COMMENT ON SCHEMA public IS 'standard public schema'")
	if err != nil {
		return fmt.Errorf("restore schema public: %w", err)
	}
	return nil
}

// column returns the single column of a query.
func column(ctx context.Context, tx pgx.Tx, operation, sql string, args ...any) ([]string, error) {
	rows, err := tx.Query(ctx, sql, args...)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", operation, err)
	}
	values, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("%s: %w", operation, err)
	}
	return values, nil
}
