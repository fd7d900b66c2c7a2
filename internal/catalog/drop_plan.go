package catalog

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
)

// dropPlan is what is dropped, in this order.
type dropPlan struct {
	globals []item // what is in no schema
	schemas []space
	items   []item
}

// space is a schema of users.
type space struct {
	name  string
	owner string
	stays bool
}

// A schema that holds a part of an extension that stays has to stay, for it
// would take the extension along. $2: extensions go.
const spacesSQL = spaceSQL + `, extension AS (
  SELECT oid, extnamespace FROM pg_catalog.pg_extension WHERE NOT $2 OR extname = 'plpgsql'
)
SELECT s.schema, pg_catalog.pg_get_userbyid(s.owner)::text, s.schema = 'public' OR NOT pg_catalog.pg_has_role(s.owner, 'USAGE')
  OR EXISTS (SELECT FROM extension e WHERE e.extnamespace = s.oid)
  OR EXISTS (SELECT FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_depend m ON m.classid = d.classid AND m.objid = d.objid
    JOIN extension e ON e.oid = m.refobjid
    WHERE d.refclassid = 'pg_catalog.pg_namespace'::regclass AND d.refobjid = s.oid
      AND m.refclassid = 'pg_catalog.pg_extension'::regclass AND m.deptype = 'e')
FROM space s ORDER BY s.schema COLLATE "C"`

// globalsSQL has what is in no schema. Event triggers go first, so that they do not
// fire for the rest; those whose function stays stay. A publication that names
// tables of a kept schema is not the user's. $2: extensions go.
const globalsSQL = spaceSQL + `, thing (step, class, oid, name, owner, may) AS (
  SELECT 1, 'pg_catalog.pg_event_trigger'::regclass, e.oid, e.evtname, e.evtowner, pg_catalog.pg_has_role(e.evtowner, 'USAGE')
  FROM pg_catalog.pg_event_trigger e JOIN pg_catalog.pg_proc p ON p.oid = e.evtfoid JOIN space s ON s.oid = p.pronamespace
  WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.classid = 'pg_catalog.pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e')
  UNION ALL SELECT 2, 'pg_catalog.pg_extension'::regclass, oid, extname, extowner, pg_catalog.pg_has_role(extowner, 'USAGE')
  FROM pg_catalog.pg_extension WHERE $2 AND extname <> 'plpgsql'
  UNION ALL SELECT 3, 'pg_catalog.pg_publication'::regclass, p.oid, p.pubname, p.pubowner, pg_catalog.pg_has_role(p.pubowner, 'USAGE')
  FROM pg_catalog.pg_publication p
  WHERE p.puballtables OR NOT EXISTS (SELECT FROM pg_catalog.pg_publication_tables t WHERE t.pubname = p.pubname AND t.schemaname = ANY ($1::text[]))
  UNION ALL SELECT 4, 'pg_catalog.pg_foreign_server'::regclass, oid, srvname, srvowner, pg_catalog.pg_has_role(srvowner, 'USAGE')
  FROM pg_catalog.pg_foreign_server
  UNION ALL SELECT 5, 'pg_catalog.pg_foreign_data_wrapper'::regclass, oid, fdwname, fdwowner, pg_catalog.pg_has_role(fdwowner, 'USAGE')
  FROM pg_catalog.pg_foreign_data_wrapper
  UNION ALL SELECT 6, 'pg_catalog.pg_cast'::regclass, c.oid, '', s.typowner, pg_catalog.pg_has_role(s.typowner, 'USAGE') OR pg_catalog.pg_has_role(t.typowner, 'USAGE')
  FROM pg_catalog.pg_cast c JOIN pg_catalog.pg_type s ON s.oid = c.castsource JOIN pg_catalog.pg_type t ON t.oid = c.casttarget WHERE c.oid >= 16384
)
SELECT i.type, t.name::text, i.identity, pg_catalog.pg_get_userbyid(t.owner)::text, t.may
FROM thing t CROSS JOIN LATERAL pg_catalog.pg_identify_object(t.class, t.oid, 0) i
WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.classid = t.class AND d.objid = t.oid AND d.deptype IN ('e', 'i'))
ORDER BY t.step, i.identity COLLATE "C"`

// A subscription cannot be dropped in a transaction, and what it is subscribed to keeps a slot for it.
const subscriptionsSQL = `
SELECT subname::text FROM pg_catalog.pg_subscription
WHERE subdbid = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database()) ORDER BY subname`

// planDrop finds out what is to be dropped, and refuses what cannot be.
func planDrop(ctx context.Context, tx pgx.Tx, options DropOptions) (plan dropPlan, err error) {
	if plan.schemas, err = readSpaces(ctx, tx, options); err != nil {
		return plan, err
	}
	if plan.globals, err = readGlobals(ctx, tx, options); err != nil {
		return plan, err
	}
	if plan.items, err = readItems(ctx, tx, Options{Exclude: options.Keep}); err != nil {
		return plan, err
	}
	subscriptions, err := column(ctx, tx, "list the subscriptions", subscriptionsSQL)
	if err != nil {
		return plan, err
	}
	return plan, plan.refuse(ctx, tx, subscriptions)
}

// refuse returns an error that names what cannot be dropped, and takes out of the plan what need not be.
func (p *dropPlan) refuse(ctx context.Context, tx pgx.Tx, subscriptions []string) error {
	var refusals []Refusal
	for _, name := range subscriptions {
		refusals = append(refusals, Refusal{Object{Kind: "subscription", Name: name, Identity: quote(name)}, "cannot be dropped in a transaction: drop it first, with DROP SUBSCRIPTION"})
	}
	for _, i := range slices.Concat(p.globals, p.items) {
		if !i.may && (i.Schema != "" || i.Kind == "extension" || i.Kind == largeObjects) {
			refusals = append(refusals, Refusal{i.Object, i.reason()})
		}
	}
	p.globals = slices.DeleteFunc(p.globals, func(i item) bool { return !i.may })
	if len(refusals) == 0 {
		return nil
	}
	role, err := column(ctx, tx, "ask who we are", "SELECT current_user::text")
	if err != nil {
		return err
	}
	return &DropError{Role: role[0], Refusals: refusals}
}

// reason says why the role may not drop the item, and what to do.
func (i item) reason() string {
	if i.Schema == "" {
		return "owned by " + quote(i.Owner) + ": drop it as that role or as a superuser"
	}
	return "owned by " + quote(i.Owner) + ": go on as that role, as the owner of schema " + quote(i.Schema) + " or as a superuser, or keep the schema"
}

// statements drop what is planned. What an earlier one has taken along is gone when its turn comes.
func (p *dropPlan) statements() []string {
	var statements []string
	statements = append(statements, dropItems(p.globals)...)
	for _, s := range p.schemas {
		if !s.stays {
			statements = append(statements, "DROP SCHEMA "+pgx.Identifier{s.name}.Sanitize()+" CASCADE")
		}
	}
	remain := p.remaining()
	statements = append(statements, dropItems(remain)...)
	if slices.ContainsFunc(p.items, func(i item) bool { return i.Kind == largeObjects }) {
		statements = append(statements, "SELECT count(pg_catalog.lo_unlink(oid)) FROM pg_catalog.pg_largeobject_metadata")
	}
	return statements
}

// remaining are the items that no schema takes along.
func (p *dropPlan) remaining() []item {
	stays := make(map[string]bool)
	for _, s := range p.schemas {
		stays[s.name] = s.stays
	}
	var items []item
	for _, i := range p.items {
		if stays[i.Schema] {
			items = append(items, i)
		}
	}
	return items
}

// dropped lists what the plan drops.
func (p *dropPlan) dropped() []Object {
	var objects []Object
	for _, i := range slices.Concat(p.globals, p.items) {
		objects = append(objects, i.Object)
	}
	for _, s := range p.schemas {
		if !s.stays {
			objects = append(objects, Object{Kind: "schema", Name: s.name, Identity: quote(s.name), Owner: s.owner})
		}
	}
	return objects
}

// dropItems returns one statement for some items of the same kind in a row.
func dropItems(items []item) []string {
	const most = 100
	var statements []string
	for len(items) > 0 {
		word, several := dropWord(items[0].Kind)
		names := []string{items[0].Identity}
		for several && len(names) < min(most, len(items)) && items[len(names)].Kind == items[0].Kind {
			names = append(names, items[len(names)].Identity)
		}
		items = items[len(names):]
		statements = append(statements, fmt.Sprintf("DROP %s IF EXISTS %s CASCADE", word, strings.Join(names, ", ")))
	}
	return statements
}

// dropWord returns what SQL calls a kind, and whether one statement can drop several.
func dropWord(kind string) (word string, several bool) {
	switch kind {
	case "function", "procedure", "aggregate":
		return "ROUTINE", true
	case "statistics object":
		return "STATISTICS", true
	case "foreign-data wrapper":
		return "FOREIGN DATA WRAPPER", true
	case "operator class", "operator family", "cast":
		return kind, false
	default:
		return kind, true
	}
}

func readSpaces(ctx context.Context, tx pgx.Tx, options DropOptions) ([]space, error) {
	rows, err := tx.Query(ctx, spacesSQL, append([]string{}, options.Keep...), options.Extensions)
	if err != nil {
		return nil, fmt.Errorf("list the schemas: %w", err)
	}
	spaces, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (space, error) {
		var s space
		err := row.Scan(&s.name, &s.owner, &s.stays)
		return s, err
	})
	if err != nil {
		return nil, fmt.Errorf("list the schemas: %w", err)
	}
	return spaces, nil
}

func readGlobals(ctx context.Context, tx pgx.Tx, options DropOptions) ([]item, error) {
	rows, err := tx.Query(ctx, globalsSQL, append([]string{}, options.Keep...), options.Extensions)
	if err != nil {
		return nil, fmt.Errorf("list what is in no schema: %w", err)
	}
	items, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (item, error) {
		var i item
		err := row.Scan(&i.Kind, &i.Name, &i.Identity, &i.Owner, &i.may)
		return i, err
	})
	if err != nil {
		return nil, fmt.Errorf("list what is in no schema: %w", err)
	}
	return items, nil
}
