package initialize

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// createTimeout is for how long to try while somebody uses template1.
const createTimeout = time.Minute

// createDatabase creates the spec's database. That somebody else did so at the
// same time is fine.
func (s Spec) createDatabase(ctx context.Context) error {
	name, err := s.databaseName()
	if err != nil {
		return &ConfigError{Database: s.Database, Err: err}
	}
	conn, err := s.openMaintenance(ctx)
	if err != nil {
		return &UnreachableError{Database: s.Database, Err: fmt.Errorf("to create it: %w", err)}
	}
	defer hangUp(ctx, conn)
	ctx, cancel := context.WithTimeout(ctx, createTimeout)
	defer cancel()
	if _, err := conn.Exec(ctx, "SET statement_timeout = 0"); err != nil {
		return s.wrap("create it", err)
	}
	for pause := firstPause; ; pause = min(2*pause, longestPause) {
		_, err := conn.Exec(ctx, "CREATE DATABASE "+pgx.Identifier{name}.Sanitize())
		pg, refused := errors.AsType[*pgconn.PgError](err)
		switch {
		case err == nil:
			s.logger().InfoContext(ctx, "database created", "datname", name)
			return nil
		case !refused:
			return s.wrap("create it", err)
		case pg.Code == codeDuplicateDatabase, pg.Code == codeUniqueViolation: // just now, by another replica
			return nil
		case pg.Code == codeInsufficientPrivilege:
			return &RefusalError{
				Database: s.Database, Refusal: RefusedPrivilege, State: Empty, Err: err,
				Reason: fmt.Sprintf("role %s may not create databases", conn.Config().User),
				WayOut: "ALTER ROLE " + pgx.Identifier{conn.Config().User}.Sanitize() + " CREATEDB; or create it for that role: CREATE DATABASE " + pgx.Identifier{name}.Sanitize() + " OWNER " + pgx.Identifier{conn.Config().User}.Sanitize(),
			}
		case pg.Code != codeObjectInUse: // template1 is in use
			return s.wrap("create it", err)
		}
		if rest(ctx, pause) != nil {
			return s.wrap("create it", err)
		}
	}
}

// openMaintenance connects to a database that is there whatever else is.
func (s Spec) openMaintenance(ctx context.Context) (*pgx.Conn, error) {
	names := []string{s.Maintenance}
	if s.Maintenance == "" {
		names = []string{"postgres", "template1"}
	}
	var failed error
	for _, name := range names {
		conn, err := s.Connect(ctx, s.application(), name)
		if err == nil {
			return conn, nil
		}
		failed = errors.Join(failed, err)
	}
	return nil, failed
}
