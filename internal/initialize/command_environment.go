package initialize

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// environment is what a program finds around it.
type environment struct {
	environ []string
	mask    mask
}

// surroundings returns the environment of a program that works on the target: the connection
// string under its name, never an argument, which everybody could read; and, for programs
// whose driver is libpq or does as it does, the limits and the name of their sessions.
func surroundings(ctx context.Context, s Spec, to target, lockTimeout time.Duration) (environment, error) {
	conn, err := to.url()
	if err != nil {
		return environment{}, fmt.Errorf("read the connection string: %w", err)
	}
	link, err := linkFor(conn)
	if err != nil {
		return environment{}, &ConfigError{Database: s.Database, Err: err}
	}
	environ := s.environ()
	if link.url != "" {
		environ = append(environ, s.urlVariable()+"="+link.url)
	}
	limits := s.Limits.orDefaults()
	limits.LockTimeout = lockTimeout
	options, err := startOptions(ctx, to, limits)
	if err != nil {
		return environment{}, err
	}
	// What the user says comes last, and wins.
	options = strings.TrimSpace(strings.Join([]string{options, lookUp(environ, "PGOPTIONS"), link.options}, " "))
	if options != "" {
		environ = append(environ, "PGOPTIONS="+options)
	}
	environ = append(environ, "PGAPPNAME="+applicationName(s.Database))
	return environment{environ: environ, mask: newMask(link.secrets...)}, nil
}

// environ is the environment of programs that work on no database.
func (s Spec) environ() []string {
	environ := os.Environ()
	if lookUp(environ, "PYTHONUNBUFFERED") == "" {
		environ = append(environ, "PYTHONUNBUFFERED=1") // or its lines come when it has ended
	}
	return append(environ, s.Environment...)
}

func (s Spec) urlVariable() string {
	if s.URLVariable == "" {
		return "DATABASE_URL"
	}
	return s.URLVariable
}

// lookUp returns a variable's value. Of several the last one counts.
func lookUp(environ []string, name string) string {
	for _, entry := range slices.Backward(environ) {
		if value, ok := strings.CutPrefix(entry, name+"="); ok {
			return value
		}
	}
	return ""
}

// startOptions returns the limits as options of a session's start, as far as the server, and
// what stands before it, takes them: this is tried, since a program would only fail.
func startOptions(ctx context.Context, to target, limits Limits) (string, error) {
	conn, err := to.connect(ctx)
	if err != nil {
		return "", fmt.Errorf("connect: %w", err)
	}
	cfg := conn.Config()
	hangUp(ctx, conn)
	settings := limitSettings(limits)
	options := fmt.Sprintf("-c lock_timeout=%s -c statement_timeout=%s", settings["lock_timeout"], settings["statement_timeout"])
	already := cfg.RuntimeParams["options"]
	for _, try := range []string{options + " -c " + checkInterval + "=" + settings[checkInterval], options} {
		cfg.RuntimeParams["options"] = strings.TrimSpace(already + " " + try)
		conn, err := pgx.ConnectConfig(ctx, cfg)
		if err == nil {
			hangUp(ctx, conn)
			return try, nil
		}
		if pg, ok := errors.AsType[*pgconn.PgError](err); !ok || !slices.Contains(refusedOptions(), pg.Code) {
			return "", fmt.Errorf("connect: %w", err)
		}
	}
	fprintf(to.log, "sessions cannot be started with options here (a pooler refuses them): what this program runs has no lock_timeout but the role's: ALTER ROLE … SET lock_timeout\n")
	return "", nil
}

// refusedOptions are the SQLSTATEs with which a server that does not know an option, or a
// pooler that knows none, refuses a session.
func refusedOptions() []string { return []string{"42704", "22023", "08P01"} }

// leftSome reports whether there are new invalid indexes, over which another attempt would stumble.
func leftSome(ctx context.Context, to target, known []string) bool {
	left, err := newInvalid(ctx, to, known)
	return err != nil || len(left) > 0
}

// leftInvalid adds to an error which indexes have become invalid.
func leftInvalid(ctx context.Context, to target, known []string, why error) error {
	left, err := newInvalid(ctx, to, known)
	if err != nil {
		return errors.Join(why, err)
	}
	return withInvalid(why, left)
}
