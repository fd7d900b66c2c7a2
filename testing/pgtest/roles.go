package pgtest

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
)

// The roles of every server that tests use. They log in with the superuser's password, and none of them is one.
const (
	// Owner owns the databases and what is in them, the control schema included, and may create databases, as who
	// migrates schemas has to. [Database.URL] logs in as Owner.
	Owner = "bbmd_owner"
	// Worker is what a daemon that runs background migrations logs in as: it may read and write the rows of the owner's tables.
	Worker = "bbmd_worker"
	// Enqueuer may call the functions that enqueue the Work EnqueuerMay, and that steer.
	Enqueuer = "bbmd_enqueuer"
	// Reader may look.
	Reader = "bbmd_reader"
	// Nobody may connect, as everybody may. Owner and Worker may become it, by SET ROLE.
	Nobody = "bbmd_nobody"
	// Observer is a Worker who may see what the throttle's signals need that other roles' sessions do (pg_monitor).
	Observer = "bbmd_observer"
	// Streamer is an Owner who may read the write-ahead log (REPLICATION).
	Streamer = "bbmd_streamer"
)

// EnqueuerMay is the Work that [Enqueuer] may enqueue.
const EnqueuerMay = "bump"

// Worker is the database as the daemon sees it.
func (d *Database) Worker(tb testing.TB) *Database { tb.Helper(); return d.As(tb, Worker) }

// Superuser is the database for what none of the roles may: settings of the server, roles, extensions that are not trusted,
// replication, other people's sessions. Whoever tests the product as a superuser says so by it.
func (d *Database) Superuser(tb testing.TB) *Database {
	tb.Helper()
	if d.superuser == "" {
		return d
	}
	return d.As(tb, d.superuser)
}

// As is the database as one of the roles sees it, or one that the test has made with the password of the others.
func (d *Database) As(tb testing.TB, role string) *Database {
	tb.Helper()
	address, err := withUser(d.URL, role)
	if err != nil {
		tb.Fatal(err)
	}
	return &Database{Name: d.Name, URL: address, superuser: d.superuser}
}

// withUser returns an address with another user in it, and the same password.
func withUser(address, role string) (string, error) {
	parsed, err := url.Parse(address)
	if err != nil {
		return "", fmt.Errorf("%s is not a URL", EnvServer) // the parser's error would show the password
	}
	if password, ok := parsed.User.Password(); ok {
		parsed.User = url.UserPassword(role, password)
	} else {
		parsed.User = url.User(role)
	}
	return parsed.String(), nil
}

// ensureRoles makes the roles, unless they are there. Roles are the server's, so whoever makes them does it under a lock.
func ensureRoles(ctx context.Context, conn *pgx.Conn) error {
	var found bool
	// All are made in one transaction.
	if err := conn.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1)", Nobody).Scan(&found); err != nil || found {
		return err
	}
	return pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "SELECT pg_advisory_xact_lock($1, 0)", lockSpace); err != nil {
			return err
		}
		if err := tx.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1)", Nobody).Scan(&found); err != nil || found {
			return err
		}
		password := strings.ReplaceAll(conn.Config().Password, "'", "''")
		for _, role := range []string{
			Owner + " CREATEDB", Worker, Enqueuer, Reader, Nobody + " ROLE " + Owner + ", " + Worker,
			Observer + " IN ROLE pg_monitor, " + Worker, Streamer + " REPLICATION IN ROLE " + Owner,
		} {
			if _, err := tx.Exec(ctx, "CREATE ROLE "+role+" LOGIN PASSWORD '"+password+"'"); err != nil {
				return err
			}
		}
		return nil
	})
}

// handOver makes a new database the owner's, as one that an application has: its tables are the worker's to read and write.
const handOver = `
DO $$ BEGIN
  IF current_setting('server_version_num')::int < 150000 THEN -- from then on it is whose the database is
    ALTER SCHEMA public OWNER TO ` + Owner + `;
  END IF;
END $$;
ALTER DEFAULT PRIVILEGES FOR ROLE ` + Owner + ` GRANT USAGE ON SCHEMAS TO ` + Worker + `;
ALTER DEFAULT PRIVILEGES FOR ROLE ` + Owner + ` GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO ` + Worker + `;
ALTER DEFAULT PRIVILEGES FOR ROLE ` + Owner + ` GRANT USAGE, SELECT ON SEQUENCES TO ` + Worker
