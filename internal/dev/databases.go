package dev

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/bbmd-dev/bbmd/internal/config"
	"github.com/bbmd-dev/bbmd/internal/control"
	"github.com/bbmd-dev/bbmd/internal/dial"
)

// connectTimeout bounds how long a database that is elsewhere may take to answer.
const connectTimeout = 15 * time.Second

// A ProductionError refuses a database that is marked as production.
type ProductionError struct {
	Database, Who, Note string
}

// Error says who marked it.
func (e *ProductionError) Error() string {
	text := fmt.Sprintf("database %s is marked as production by %s", e.Database, e.Who)
	if e.Note != "" {
		text += " (" + e.Note + ")"
	}
	return text + ": an environment for development has no business with it: configure another one"
}

// refuseProduction looks at every database, before anything is done to any of them.
func (c *configuration) refuseProduction(ctx context.Context) error {
	var problems []error
	for _, name := range c.Names() {
		if err := c.lookForMark(ctx, name); err != nil {
			problems = append(problems, err)
		}
	}
	return errors.Join(problems...)
}

func (c *configuration) lookForMark(ctx context.Context, name string) error {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	conn, err := dial.New(c.Databases[name]).Connect(ctx, "bbmd/"+name+"/dev")
	if sqlstate(err, "3D000") {
		return nil // it is not there yet
	}
	if err != nil {
		hint := "start its server, or leave url out for a private one"
		if c.private(name) {
			hint = "the private server does not answer: see `bbmd dev logs --postgres`"
		}
		return fmt.Errorf("database %s: %w: %s", name, err, hint)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }() // only looked at
	var there bool
	if err := conn.QueryRow(ctx, "SELECT to_regclass($1) IS NOT NULL", pgx.Identifier{c.ControlSchema, "settings"}.Sanitize()).Scan(&there); err != nil {
		return fmt.Errorf("database %s: look for a mark of production: %w", name, err)
	}
	if !there {
		return nil
	}
	mark, _, err := control.NewStore(c.ControlSchema).Production(ctx, conn)
	if err != nil {
		return fmt.Errorf("database %s: %w", name, err)
	}
	if mark != nil {
		return &ProductionError{Database: name, Who: mark.Who, Note: strings.TrimSpace(mark.Note)}
	}
	return nil
}

// create makes the databases on the private server that it does not have yet.
func (c *configuration) create(ctx context.Context) error {
	names := c.privates()
	if len(names) == 0 {
		return nil
	}
	conn, err := dial.New(config.Database{URL: config.URL(c.at.url("postgres"))}).Connect(ctx, "bbmd/dev")
	if err != nil {
		return fmt.Errorf("make databases: %w", err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }() // the databases are there, or the error says why not
	for _, name := range names {
		var there bool
		if err := conn.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)", name).Scan(&there); err != nil {
			return fmt.Errorf("make database %s: %w", name, err)
		}
		if there {
			continue
		}
		_, err := conn.Exec(ctx, "CREATE DATABASE "+pgx.Identifier{name}.Sanitize()+" TEMPLATE template0")
		if err != nil && !sqlstate(err, "42P04", "23505") { // another process was faster
			return fmt.Errorf("make database %s: %w", name, err)
		}
	}
	return nil
}

// sqlstate reports whether the server refused something for one of these reasons.
func sqlstate(err error, codes ...string) bool {
	refusal, ok := errors.AsType[*pgconn.PgError](err)
	return ok && slices.Contains(codes, refusal.Code)
}
