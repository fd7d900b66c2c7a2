package initialize

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/bbmd-dev/bbmd/internal/catalog"
	"github.com/bbmd-dev/bbmd/internal/control"
)

// errNoDatabase says that the server has no database of the spec's name.
var errNoDatabase = errors.New("the server has no such database")

// application is what the sessions of a run that do not belong to its runner are called.
func (s Spec) application() string { return "bbmd/" + s.Database + "/initialize" }

func (s Spec) store() control.Store { return control.NewStore(s.ControlSchema) }

// controlSchema is the control schema's name, not quoted.
func (s Spec) controlSchema() string {
	if s.ControlSchema == "" {
		return control.DefaultSchema
	}
	return s.ControlSchema
}

// open connects to the spec's own database. The error is [errNoDatabase], or an [*UnreachableError].
func (s Spec) open(ctx context.Context) (*pgx.Conn, error) {
	conn, err := s.Connect(ctx, s.application(), "")
	if err == nil {
		return conn, nil
	}
	if ctx.Err() != nil {
		return nil, fmt.Errorf("database %s: connect: %w", s.Database, context.Cause(ctx))
	}
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok && pg.Code == codeUnknownDatabase {
		return nil, fmt.Errorf("%w: %w", errNoDatabase, err)
	}
	return nil, &UnreachableError{Database: s.Database, Err: err}
}

// closeTimeout bounds what is done for tidiness' sake.
const closeTimeout = 5 * time.Second

// hangUp closes a connection, also when ctx has ended.
func hangUp(ctx context.Context, conn *pgx.Conn) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
	defer cancel()
	_ = conn.Close(ctx) // the session ends either way
}

// own is the spec's own database as a target.
func (s Spec) own(f Finding, log *record) target {
	return target{
		connect: func(ctx context.Context) (*pgx.Conn, error) {
			return s.Connect(ctx, applicationName(s.Database), "")
		},
		url:   s.URL,
		table: f.record,
		fresh: f.State == Empty,
		log:   log,
	}
}

// shadow is a throw-away database of the same server as a target.
func (s Spec) shadow(database string, log *record) target {
	return target{
		connect: func(ctx context.Context) (*pgx.Conn, error) {
			return s.Connect(ctx, applicationName(s.Database), database)
		},
		url: func() (string, error) {
			whole, err := s.URL()
			if err != nil {
				return "", err
			}
			return inDatabase(whole, database)
		},
		fresh:  true,
		shadow: true,
		log:    log,
	}
}

// anywhere connects to databases of the spec's server, for [catalog.Shadow].
func (s Spec) anywhere() catalog.Connect {
	return func(ctx context.Context, database string) (*pgx.Conn, error) {
		return s.Connect(ctx, s.application(), database)
	}
}

// inDatabase returns a connection string that leads to another database of
// the same server. Its errors do not hold the string, which is a secret.
func inDatabase(conn, database string) (string, error) {
	parsed, err := url.Parse(conn)
	if err == nil && isServerURL(parsed.Scheme) {
		parsed.Path, parsed.RawPath = "/"+database, ""
		query := parsed.Query()
		if query.Has("dbname") { // it would win
			query.Del("dbname")
			parsed.RawQuery = query.Encode()
		}
		return parsed.String(), nil
	}
	if _, err := pgxpool.ParseConfig(conn); err != nil {
		return "", errors.New("the connection string cannot be read")
	}
	return conn + " dbname=" + quoteValue(database), nil // of two the last one counts
}

// isServerURL reports whether a scheme is that of PostgreSQL, also with a driver's name, as SQLAlchemy
// has it: postgresql+asyncpg.
func isServerURL(scheme string) bool {
	dialect, _, _ := strings.Cut(scheme, "+")
	return dialect == "postgres" || dialect == "postgresql"
}

// quoteValue quotes a value of a keyword=value connection string.
func quoteValue(text string) string {
	quoted := make([]rune, 0, len(text)+2)
	for _, r := range text {
		if r == '\'' || r == '\\' {
			quoted = append(quoted, '\\')
		}
		quoted = append(quoted, r)
	}
	return "'" + string(quoted) + "'"
}

// databaseName is the name of the spec's own database on its server.
func (s Spec) databaseName() (string, error) {
	conn, err := s.URL()
	if err != nil {
		return "", err
	}
	if scheme, rest, found := strings.Cut(conn, "://"); found { // as SQLAlchemy has it, with the driver: postgresql+asyncpg
		scheme, _, _ = strings.Cut(scheme, "+")
		conn = scheme + "://" + rest
	}
	cfg, err := pgxpool.ParseConfig(conn)
	if err != nil {
		return "", errors.New("the connection string cannot be read")
	}
	if cfg.ConnConfig.Database != "" {
		return cfg.ConnConfig.Database, nil
	}
	return cfg.ConnConfig.User, nil // as libpq has it
}
