package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/bbmd-dev/bbmd/internal/control"
	"github.com/bbmd-dev/bbmd/internal/terminal"
	"github.com/bbmd-dev/bbmd/plugins"
)

// versionsSQL lists the versions of the daemons that have a session on this database.
const versionsSQL = `
SELECT DISTINCT split_part(application_name, '@', 2) FROM pg_catalog.pg_stat_activity
WHERE datname = current_database() AND application_name LIKE 'bbmd/%@_%' AND application_name NOT LIKE 'bbmd/%/%' ORDER BY 1`

// replicasSQL counts the daemons that listen for events on this database.
const replicasSQL = `
SELECT count(*) FROM pg_catalog.pg_stat_activity WHERE datname = current_database() AND application_name IN ('bbmd/listener', 'bbmd/stream')`

// checkReplicas looks for replicas that differ from one another: in their version of bbmd, which their
// sessions have in their name, of the control schema, and of the Works that migrations began with.
func checkReplicas(ctx context.Context, p *patient) (string, error) {
	var listening int64
	if err := p.conn.QueryRow(ctx, replicasSQL).Scan(&listening); err != nil {
		return "", err
	}
	rows, err := p.conn.Query(ctx, versionsSQL)
	if err != nil {
		return "", err
	}
	versions, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return "", err
	}
	detail := terminal.Count(listening) + " listening"
	if listening == 0 {
		detail = "none is listening"
	}
	var found problems
	switch len(versions) {
	case 0:
	case 1:
		detail += ", of version " + versions[0]
	default:
		found = append(found, warn("daemons of different versions are at work: "+strings.Join(versions, ", "),
			"both may run beside each other while one replaces the other; a Work that only one of them has waits for it",
			"upgrade all replicas to the same version"))
	}
	if !p.installed(ctx) {
		return detail, found.orNil() // told already
	}
	if err := p.compareSchema(ctx, &found); err != nil {
		return "", err
	}
	all, _ := configured(ctx, p.config) // the check of plugins says what is wrong
	err = p.compareWorks(ctx, all, &found)
	if err == nil {
		err = found.orNil()
	}
	return detail, err
}

func (p *patient) compareSchema(ctx context.Context, found *problems) error {
	versions := pgx.Identifier{p.config.ControlSchema, "versions"}.Sanitize()
	var installed int
	if err := p.conn.QueryRow(ctx, "SELECT max(version) FROM "+versions).Scan(&installed); err != nil {
		return err
	}
	if known := control.Version(); installed > known {
		*found = append(*found, warn(fmt.Sprintf("the control schema has version %d, and this bbmd knows %d: a newer bbmd has been here", installed, known),
			"both may run beside each other, but what is new is only done by the newer one", "upgrade all replicas to the same version"))
	}
	return nil
}

// compareWorks looks at migrations that began with another version of their Work.
func (p *patient) compareWorks(ctx context.Context, all []plugins.Plugin, found *problems) error {
	versions := map[string]int{}
	for _, w := range reportWorks(all) {
		versions[w.Name] = w.Version
	}
	migrations := pgx.Identifier{p.config.ControlSchema, "batched_background_migrations"}.Sanitize()
	rows, err := p.conn.Query(ctx, "SELECT name, job_signature_name, work_version FROM "+migrations+
		" WHERE status IN ('active', 'running', 'paused') AND work_version IS NOT NULL ORDER BY priority, id LIMIT 100")
	if err != nil {
		return err
	}
	var name, work string
	var version int
	_, err = pgx.ForEachRow(rows, []any{&name, &work, &version}, func() error {
		if here, known := versions[work]; known && here != version {
			*found = append(*found, warn(fmt.Sprintf("migration %s began with version %d of %s, and this bbmd has version %d", name, version, work, here),
				"only replicas with that version go on with it", "let replicas of that version run until it has finished, or cancel it and enqueue another one"))
		}
		return nil
	})
	return err
}
