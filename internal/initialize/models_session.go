package initialize

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// settings are those of a session that differ from what it began with.
type settings struct{ names, values []string }

// sessionSettings reads what was set in the session.
func sessionSettings(ctx context.Context, tx pgx.Tx) (settings, error) {
	var s settings
	rows, err := tx.Query(ctx, "SELECT name, current_setting(name) FROM pg_catalog.pg_settings WHERE source = 'session' AND name !~ '^transaction_|^role$|^session_authorization$'")
	if err != nil {
		return s, fmt.Errorf("read the session's settings: %w", err)
	}
	var name, value string
	_, err = pgx.ForEachRow(rows, []any{&name, &value}, func() error {
		s.names, s.values = append(s.names, name), append(s.values, value)
		return nil
	})
	if err != nil {
		return s, fmt.Errorf("read the session's settings: %w", err)
	}
	return s, nil
}

// forget makes a session what it was when it began, as far as scripts change it with SET.
const forget = "SET SESSION AUTHORIZATION DEFAULT; RESET ROLE; RESET ALL"

// restore undoes what a script has set: pg_dump's begin with an empty search path.
func (s settings) restore(ctx context.Context, tx pgx.Tx) error {
	if _, err := tx.Exec(ctx, forget); err != nil {
		return fmt.Errorf("reset the session: %w", err)
	}
	_, err := tx.Exec(ctx, `SELECT pg_catalog.set_config(s.name, s.value, false) FROM unnest($1::text[], $2::text[]) s (name, value)
		JOIN pg_catalog.pg_settings p ON p.name = s.name WHERE p.context IN ('user', 'superuser')`, s.names, s.values)
	if err != nil {
		return fmt.Errorf("reset the session: %w", err)
	}
	return nil
}

// lineIn returns how many lines into a statement the server found what it complains about.
func lineIn(sql string, err error) int {
	pg, ok := errors.AsType[*pgconn.PgError](err)
	if !ok || pg.Position <= 0 {
		return 0
	}
	characters := int(pg.Position) - 1
	for at := range sql {
		if characters == 0 {
			return strings.Count(sql[:at], "\n")
		}
		characters--
	}
	return 0
}
