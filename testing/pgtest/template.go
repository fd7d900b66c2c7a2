package pgtest

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// Template is what a database starts with.
type Template struct {
	// Hash stands for the content: whoever changes what Install makes
	// changes the hash, or gets the old content from a server that is still
	// running.
	Hash string
	// Install fills a new database, as its owner, once per server and Hash.
	Install func(ctx context.Context, conn *pgx.Conn) error
	// Superuser lets the server's superuser install it, to whom it then belongs.
	Superuser bool
}

// emptyTemplate is a database as its owner was given it.
func emptyTemplate() Template {
	return Template{Hash: "empty", Install: func(context.Context, *pgx.Conn) error { return nil }}
}

// digest is the hash in a form that fits into a name.
func (t Template) digest() string {
	sum := sha256.Sum256([]byte(handOver + t.Hash))
	return hex.EncodeToString(sum[:12])
}

// lockSpace is the first half of the advisory lock, on the database postgres,
// under which templates are made.
const lockSpace = 0x62626d // bbm

// clone makes a database for a test and sees to its end.
func clone(tb testing.TB, serverURL string, template Template) *Database {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), deadline)
	defer cancel()
	name := databaseName(tb.Name())
	if err := create(ctx, serverURL, name, template); err != nil {
		tb.Fatalf("create the test's database: %v", err)
	}
	address, err := withDatabase(serverURL, name)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(tb.Context()), deadline)
		defer cancel()
		if err := drop(ctx, serverURL, name); err != nil {
			tb.Errorf("drop the test's database: %v", err)
		}
	})
	return owned(tb, name, address)
}

// owned returns the database at that address of the superuser's, as its owner sees it.
func owned(tb testing.TB, name, address string) *Database {
	tb.Helper()
	parsed, err := url.Parse(address)
	if err != nil {
		tb.Fatalf("%s is not a URL", EnvServer) // the parser's error would show the password
	}
	return (&Database{Name: name, URL: address, superuser: parsed.User.Username()}).As(tb, Owner)
}

// databaseName is the test's name, as far as it fits, and something random.
func databaseName(test string) string {
	const room = 36
	name := regexp.MustCompile(`[^a-z0-9]+`).ReplaceAllString(strings.ToLower(test), "_")
	name = strings.TrimPrefix(name, "test")
	return "t_" + strings.Trim(name[:min(len(name), room)], "_") + "_" + strings.ToLower(rand.Text()[:10])
}

func create(ctx context.Context, serverURL, name string, template Template) error {
	conn, err := connect(ctx, serverURL)
	if err != nil {
		return err
	}
	defer conn.Close(ctx) //nolint:errcheck // nothing depends on it
	if err := ensureRoles(ctx, conn); err != nil {
		return err
	}
	source, err := ensure(ctx, conn, serverURL, template)
	if err != nil {
		return err
	}
	_, err = conn.Exec(ctx, fmt.Sprintf("CREATE DATABASE %s TEMPLATE %s OWNER %s", quote(name), quote(source), Owner))
	return err
}

// ensure returns the name of the template's database, made before or now.
// Nobody connects to it afterwards, which cloning asks for.
func ensure(ctx context.Context, conn *pgx.Conn, serverURL string, template Template) (string, error) {
	name := "template_" + template.digest()
	// The exists check comes first and without the lock: in all tests but one it is all there is to do.
	if found, err := exists(ctx, conn, name); err != nil || found {
		return name, err
	}
	if _, err := conn.Exec(ctx, "SELECT pg_advisory_lock($1, hashtext($2))", lockSpace, name); err != nil {
		return "", err
	}
	defer conn.Exec(ctx, "SELECT pg_advisory_unlock($1, hashtext($2))", lockSpace, name) //nolint:errcheck // it ends with the session too
	if found, err := exists(ctx, conn, name); err != nil || found {
		return name, err
	}
	return name, build(ctx, conn, serverURL, name, template)
}

// build installs the content under another name, so that a template either is
// complete or does not exist.
func build(ctx context.Context, conn *pgx.Conn, serverURL, name string, template Template) error {
	unfinished := "unfinished_" + template.digest()
	for _, sql := range []string{
		fmt.Sprintf("DROP DATABASE IF EXISTS %s WITH (FORCE)", quote(unfinished)),
		fmt.Sprintf("CREATE DATABASE %s TEMPLATE template0 OWNER %s", quote(unfinished), Owner),
	} {
		if _, err := conn.Exec(ctx, sql); err != nil {
			return err
		}
	}
	if err := install(ctx, serverURL, unfinished, template); err != nil {
		return fmt.Errorf("install template %s: %w", template.Hash, err)
	}
	for _, sql := range []string{
		fmt.Sprintf("ALTER DATABASE %s WITH ALLOW_CONNECTIONS false IS_TEMPLATE true", quote(unfinished)),
		fmt.Sprintf("ALTER DATABASE %s RENAME TO %s", quote(unfinished), quote(name)),
	} {
		if _, err := conn.Exec(ctx, sql); err != nil {
			return err
		}
	}
	return nil
}

func install(ctx context.Context, serverURL, database string, template Template) error {
	address, err := withDatabase(serverURL, database)
	if err != nil {
		return err
	}
	if err := once(ctx, address, func(conn *pgx.Conn) error {
		_, err := conn.Exec(ctx, handOver)
		return err
	}); err != nil {
		return fmt.Errorf("hand it over to its owner: %w", err)
	}
	if !template.Superuser {
		if address, err = withUser(address, Owner); err != nil {
			return err
		}
	}
	return once(ctx, address, func(conn *pgx.Conn) error { return template.Install(ctx, conn) })
}

// once does something on a connection of its own.
func once(ctx context.Context, address string, do func(*pgx.Conn) error) error {
	conn, err := connect(ctx, address)
	if err != nil {
		return err
	}
	return errors.Join(do(conn), conn.Close(ctx))
}

func exists(ctx context.Context, conn *pgx.Conn, name string) (bool, error) {
	var found bool
	err := conn.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)", name).Scan(&found)
	return found, err
}

// drop removes a database and what a test may have left in it that keeps
// PostgreSQL from doing so.
func drop(ctx context.Context, serverURL, name string) error {
	conn, err := connect(ctx, serverURL)
	if err != nil {
		return err
	}
	defer conn.Close(ctx) //nolint:errcheck // nothing depends on it
	sql := fmt.Sprintf("DROP DATABASE IF EXISTS %s WITH (FORCE)", quote(name))
	_, err = conn.Exec(ctx, sql)
	var pgErr *pgconn.PgError
	if !errors.As(err, &pgErr) || pgErr.Code != "55006" { // object_in_use
		return err
	}
	if err := vacate(ctx, conn, serverURL, name); err != nil {
		return err
	}
	_, err = conn.Exec(ctx, sql)
	return err
}

// vacate ends a database's replication sessions and its prepared transactions.
func vacate(ctx context.Context, conn *pgx.Conn, serverURL, name string) error {
	if err := endReplication(ctx, conn, name); err != nil {
		return err
	}
	rows, err := conn.Query(ctx, "SELECT gid FROM pg_prepared_xacts WHERE database = $1", name)
	if err != nil {
		return err
	}
	prepared, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil || len(prepared) == 0 {
		return err
	}
	address, err := withDatabase(serverURL, name)
	if err != nil {
		return err
	}
	inside, err := connect(ctx, address)
	if err != nil {
		return err
	}
	defer inside.Close(ctx) //nolint:errcheck // nothing depends on it
	for _, gid := range prepared {
		if _, err := inside.Exec(ctx, "ROLLBACK PREPARED '"+strings.ReplaceAll(gid, "'", "''")+"'"); err != nil {
			return err
		}
	}
	return nil
}

// endReplication ends the sessions that hold a database's replication slots, and returns when none does. That
// pg_terminate_backend waits itself is new in PostgreSQL 14.
func endReplication(ctx context.Context, conn *pgx.Conn, name string) error {
	const pause = 5 * time.Millisecond
	tick := time.NewTicker(pause)
	defer tick.Stop()
	for {
		var held int
		if err := conn.QueryRow(ctx, `
			SELECT count(pg_terminate_backend(active_pid))
			FROM pg_replication_slots WHERE database = $1 AND active_pid IS NOT NULL`, name).Scan(&held); err != nil || held == 0 {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func quote(name string) string { return pgx.Identifier{name}.Sanitize() }
