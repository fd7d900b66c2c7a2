package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/bbmd-dev/bbmd/internal/control"
)

func checkControlSchema(ctx context.Context, p *patient) (string, error) {
	err := control.Check(ctx, p.conn, p.config.ControlSchema)
	switch {
	case err == nil:
		return p.config.ControlSchema + " is up to date", nil
	case errors.Is(err, control.ErrNewer):
		return "", fail(err.Error(), "this bbmd would not understand what it finds there, and does not start", "run a newer bbmd")
	case errors.Is(err, control.ErrOutdated):
		return "", warn(err.Error(), "it holds the migrations and what they have done", "bbmd run, or bbmd init-control, creates or upgrades it")
	case mayNot(err):
		return "", fail("this role may not look into "+p.config.ControlSchema, "it holds the migrations and what they have done", "see the privileges that it misses, below")
	default:
		return "", err
	}
}

// without says why there is nothing to look into.
func (p *patient) without(ctx context.Context) string {
	if err := control.Check(ctx, p.conn, p.config.ControlSchema); !errors.Is(err, control.ErrOutdated) {
		return "not looked at: see the control schema"
	}
	return "there are no migrations yet"
}

// mayNot reports whether the server has refused something for want of a right.
func mayNot(err error) bool {
	pgErr, ok := errors.AsType[*pgconn.PgError](err)
	return ok && pgErr.Code == control.RefusedRight
}

// installed reports whether there is a control schema to look into. Why not is told by its own check.
func (p *patient) installed(ctx context.Context) bool {
	return control.Check(ctx, p.conn, p.config.ControlSchema) == nil
}

// checkPrivileges asks whether the role may use the control schema, or create
// it where it is missing.
func checkPrivileges(ctx context.Context, p *patient) (string, error) {
	var role, database string
	var mayCreate, exists bool
	err := p.conn.QueryRow(ctx, `SELECT current_user, current_database(), has_database_privilege(current_database(), 'CREATE'),
		to_regnamespace(quote_ident($1)) IS NOT NULL`, p.config.ControlSchema).Scan(&role, &database, &mayCreate, &exists)
	switch {
	case err != nil:
		return "", err
	case exists:
		return checkUse(ctx, p, role)
	case mayCreate:
		return role + " may create the control schema", nil
	default:
		return "", fail(fmt.Sprintf("%s may not create a schema in database %s", role, database),
			"the control schema is not there yet, and bbmd has to create it", fmt.Sprintf("GRANT CREATE ON DATABASE %s TO %s, or have somebody else run bbmd init-control",
				pgx.Identifier{database}.Sanitize(), pgx.Identifier{role}.Sanitize()))
	}
}

// missingSQL lists what the role may not do of what a worker does in the control schema (bbm.grant_role), as "UPDATE on name".
const missingSQL = `
SELECT 'USAGE on ' || nspname FROM pg_catalog.pg_namespace WHERE nspname = $1 AND NOT has_schema_privilege(oid, 'USAGE')
UNION ALL
SELECT string_agg(v.privilege, ', ' ORDER BY v.at) || ' on ' || c.relname
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
CROSS JOIN LATERAL unnest(CASE WHEN c.relname = 'owner_epoch' THEN '{USAGE}' WHEN c.relkind = 'S' THEN '{}'
    WHEN c.relname IN ('batched_background_migrations', 'batched_background_migration_jobs') THEN '{SELECT,INSERT,UPDATE}'
    WHEN c.relname = 'counters' THEN '{SELECT,INSERT,UPDATE,DELETE}' WHEN c.relname = 'quarantine' THEN '{SELECT,INSERT}'
    ELSE '{SELECT}' END::text[]) WITH ORDINALITY v (privilege, at)
WHERE n.nspname = $1 AND c.relkind IN ('r', 'v', 'S')
  AND NOT CASE c.relkind WHEN 'S' THEN has_sequence_privilege(c.oid, v.privilege) ELSE has_table_privilege(c.oid, v.privilege) END
GROUP BY c.relname
UNION ALL
SELECT 'EXECUTE on ' || p.proname FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
WHERE n.nspname = $1 AND p.proname IN ('enqueue', 'enqueue_on', 'pause', 'resume', 'cancel', 'retry', 'retry_quarantined', 'table_named')
  AND NOT has_function_privilege(p.oid, 'EXECUTE')`

func checkUse(ctx context.Context, p *patient, role string) (string, error) {
	rows, err := p.conn.Query(ctx, missingSQL, p.config.ControlSchema)
	if err != nil {
		return "", err
	}
	missing, err := pgx.CollectRows(rows, pgx.RowTo[string])
	switch {
	case err != nil:
		return "", err
	case len(missing) > 0:
		return "", fail(fmt.Sprintf("in the control schema %s misses %s", role, strings.Join(missing, "; ")),
			"it is what a daemon does there", "let the schema's owner run: bbmd init-control --worker "+role)
	case !p.installed(ctx): // which has a check of its own
		return role + " may use the control schema", nil
	default:
		return checkAlone(ctx, p, role)
	}
}

// othersSQL lists who may write the control schema's tables, beside its owner, superusers and those who were granted it as workers. It
// is nobody's business where roles are granted by hand alone.
const othersSQL = `
SELECT DISTINCT r.rolname FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
CROSS JOIN LATERAL aclexplode(c.relacl) a LEFT JOIN pg_catalog.pg_roles r ON r.oid = a.grantee
WHERE n.nspname = $1 AND c.relkind = 'r' AND a.grantee <> c.relowner AND a.privilege_type IN ('INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'TRIGGER')
  AND EXISTS (SELECT FROM bbm.roles) AND NOT EXISTS (SELECT FROM bbm.roles w WHERE w.role = r.rolname AND w.kind = 'worker')`

// checkAlone asks whether others may write what only bbmd should, and whether the daemon may more than it has to.
func checkAlone(ctx context.Context, p *patient, role string) (string, error) {
	sql := strings.ReplaceAll(othersSQL, "bbm.", control.NewStore(p.config.ControlSchema).Schema()+".")
	rows, err := p.conn.Query(ctx, sql, p.config.ControlSchema)
	if err != nil {
		return "", err
	}
	others, err := pgx.CollectRows(rows, pgx.RowTo[*string])
	if err != nil {
		return "", err
	}
	var names []string
	for _, other := range others {
		if other == nil {
			names = append(names, "everybody")
		} else {
			names = append(names, *other)
		}
	}
	if len(names) > 0 {
		return "", warn("the control schema's tables can be written by "+strings.Join(names, ", "), "whoever writes them runs SQL as "+role+", and can rewrite what was recorded",
			"bbmd init-control --revoke them, or --enqueuer; see ALTER DEFAULT PRIVILEGES where they come from")
	}
	return role + " may use the control schema", nil
}

// checkDeadPeers asks what the server does about clients that vanish: until it
// notices, their locks stay, and their jobs with them.
func checkDeadPeers(ctx context.Context, p *patient) (string, error) {
	rows, err := p.conn.Query(ctx, `SELECT name, setting FROM pg_catalog.pg_settings
		WHERE name IN ('tcp_keepalives_idle', 'tcp_user_timeout', 'client_connection_check_interval') ORDER BY name`)
	if err != nil {
		return "", err
	}
	type setting struct{ Name, Value string }
	settings, err := pgx.CollectRows(rows, pgx.RowToStructByPos[setting])
	if err != nil {
		return "", err
	}
	if strings.HasPrefix(p.conn.Config().Host, "/") {
		return "the connection is a unix socket, whose end is noticed at once", nil
	}
	var on, off []string
	for _, s := range settings {
		if s.Value == "0" {
			off = append(off, s.Name)
		} else {
			on = append(on, s.Name+" "+s.Value)
		}
	}
	if len(off) > 0 {
		return "", warn("the server did not take "+strings.Join(off, ", "), "where a machine or the network dies, the server notices late, and until then keeps the locks and the jobs of the replica there",
			"check what the server's platform and the pooler let a session set")
	}
	return strings.Join(on, ", "), nil
}

// connectionsSQL returns how many connections there may be and are, without those that wait for the daemon's next migration.
const connectionsSQL = `
SELECT current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int,
  (SELECT count(*)::int FROM pg_catalog.pg_stat_activity WHERE backend_type = 'client backend' AND application_name NOT LIKE 'bbmd/%/spare')`

// checkConnections compares what the daemon would open with what is free: a
// pool of 4, the listener, and at most two connections for each worker.
func checkConnections(ctx context.Context, p *patient) (string, error) {
	var most, used int
	if err := p.conn.QueryRow(ctx, connectionsSQL).Scan(&most, &used); err != nil {
		return "", err
	}
	workers := p.config.BackgroundMigrations.Workers
	needed := 5 + 2*workers
	detail := fmt.Sprintf("%d of %d in use, %d workers need up to %d", used, most, workers, needed)
	if free := most - used; free < needed {
		return "", warn(detail, "a worker that cannot connect waits, and the application may be refused", "raise max_connections, or lower background_migrations.workers")
	}
	return detail, nil
}
