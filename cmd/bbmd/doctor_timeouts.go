package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// sessionTimes are the settings of a session that decide how long it lives, in
// milliseconds; an older server does not have all of them.
const sessionTimes = `
SELECT name, setting::bigint FROM pg_catalog.pg_settings
WHERE name IN ('statement_timeout', 'lock_timeout', 'idle_session_timeout', 'idle_in_transaction_session_timeout', 'transaction_timeout', 'log_min_duration_statement')`

// setElsewhere are the time-outs that the role or the database sets, which the
// application's sessions have and bbmd's own replace.
const setElsewhere = `
SELECT DISTINCT c || CASE WHEN setrole = 0 THEN ' of the database' ELSE ' of the role' END
FROM pg_catalog.pg_db_role_setting, unnest(setconfig) c
WHERE setdatabase IN (0, (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database()))
  AND setrole IN (0, (SELECT oid FROM pg_catalog.pg_roles WHERE rolname = session_user)) AND split_part(c, '=', 1) LIKE '%timeout' ORDER BY 1`

// leastStatementTimeout is how long a scan, or the installation of the control
// schema, must be allowed to take.
const leastStatementTimeout = 5 * time.Second

// checkTimeouts asks what would end bbmd's own sessions and statements too early,
// or never: what the connection string sets, it does not touch.
func checkTimeouts(ctx context.Context, p *patient) (string, error) {
	rows, err := p.conn.Query(ctx, sessionTimes)
	if err != nil {
		return "", err
	}
	set := map[string]time.Duration{}
	var name string
	var milliseconds int64
	if _, err := pgx.ForEachRow(rows, []any{&name, &milliseconds}, func() error {
		set[name] = time.Duration(milliseconds) * time.Millisecond
		return nil
	}); err != nil {
		return "", err
	}
	found := append(judgeTimeouts(set), p.judgeBatchTimeout(set)...)
	if len(found) > 0 {
		return "", found
	}
	rows, err = p.conn.Query(ctx, setElsewhere)
	if err != nil {
		return "", err
	}
	elsewhere, err := pgx.CollectRows(rows, pgx.RowTo[string])
	detail := fmt.Sprintf("bbmd's sessions have statement_timeout %v and lock_timeout %v", set["statement_timeout"], set["lock_timeout"])
	if len(elsewhere) > 0 {
		detail += ", whatever else is set: " + strings.Join(elsewhere, ", ")
	}
	return detail, err
}

func judgeTimeouts(set map[string]time.Duration) (found problems) {
	const inURL = "take it out of the connection string, or let the pooler pass bbmd's own on"
	if t := set["statement_timeout"]; t > 0 && t < leastStatementTimeout {
		found = append(found, warn(fmt.Sprintf("statement_timeout is %v", t),
			"a scan of many migrations, or the installation of the control schema, may take longer", inURL))
	}
	if set["lock_timeout"] == 0 {
		found = append(found, warn("lock_timeout is 0", "a statement that waits for a lock on one of bbmd's tables waits for ever, and others behind it", inURL))
	}
	if t := set["idle_session_timeout"]; t > 0 {
		found = append(found, warn(fmt.Sprintf("idle_session_timeout is %v", t), "the daemon's sessions are idle while nothing happens, and would be ended", inURL))
	}
	if t, known := set["log_min_duration_statement"]; known && t == 0 {
		found = append(found, warn("log_min_duration_statement is 0", "every statement of every batch is written to the server's log",
			"ALTER ROLE … SET log_min_duration_statement = '1s' for bbmd's role"))
	}
	return found
}

// judgeBatchTimeout looks at the setting that no session of bbmd's replaces.
func (p *patient) judgeBatchTimeout(set map[string]time.Duration) problems {
	longest := slices.Max([]time.Duration{p.config.BackgroundMigrations.StatementTimeout, leastStatementTimeout})
	if t := set["transaction_timeout"]; t > 0 && t < longest {
		return problems{warn(fmt.Sprintf("transaction_timeout is %v", t), fmt.Sprintf("a batch may take %v, and would be ended together with its worker's session", longest),
			"ALTER ROLE … SET transaction_timeout = 0 for bbmd's role")}
	}
	return nil
}
