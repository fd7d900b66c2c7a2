package control

import (
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

//go:embed schema/*.sql
var schemaFiles embed.FS

// DefaultSchema is the name of the control schema unless the configuration says otherwise.
const DefaultSchema = "bbm"

// oldestCompatible is the oldest schema version whose bbmd may go on running
// beside the schema that this bbmd installs.
const oldestCompatible = 1

// The advisory lock classes that bbmd takes, first of the two keys. They must
// never change: an old replica and a new one meet on them.
const (
	lockInstall = 7700 // (7700, 0): installation of the control schema
	lockOwner   = 7701 // (7701, epoch): a worker's sessions, shared
	lockClaim   = 7702 // (7702, migration): claimers of one migration queue up
	lockSlot    = 7703 // (7703, migration*64 + slot): places for workers
	lockSchema  = 7704 // (7704, 0): whoever brings the database's schema up
)

// ErrNewer is wrapped by the errors of [Install] and [Check] when the database
// was upgraded by a bbmd that this one cannot run beside: use a newer bbmd.
var ErrNewer = errors.New("control schema is newer than this bbmd")

// oldestServer is the oldest major version of PostgreSQL that bbmd runs on.
const oldestServer = 13

// ErrOldServer is wrapped by the errors of [Install] when the server is older than
// bbmd runs on: upgrade it.
var ErrOldServer = errors.New("the server is too old")

// ErrOutdated is wrapped by the errors of [Check] when the control schema is
// absent or older than this bbmd needs: run `bbmd init-control`.
var ErrOutdated = errors.New("control schema is absent or outdated")

// step is one file of the schema.
type step struct {
	version int
	sql     string
}

// steps returns the embedded files in order of their numbers.
func steps() ([]step, error) {
	names, err := fs.Glob(schemaFiles, "schema/*.sql")
	if err != nil {
		return nil, fmt.Errorf("list control schema files: %w", err)
	}
	all := make([]step, 0, len(names))
	for _, name := range names {
		number, _, _ := strings.Cut(strings.TrimPrefix(name, "schema/"), "_")
		version, err := strconv.Atoi(number)
		if err != nil {
			return nil, fmt.Errorf("control schema file %s: %w", name, err)
		}
		text, err := schemaFiles.ReadFile(name)
		if err != nil {
			return nil, fmt.Errorf("read control schema file: %w", err)
		}
		all = append(all, step{version: version, sql: string(text)})
	}
	return all, nil
}

// Hash identifies what [Install] installs: it changes whenever a file does.
func Hash() string {
	all, err := steps()
	if err != nil {
		panic("embedded control schema: " + err.Error()) // impossible in a binary whose tests passed
	}
	sum := sha256.New()
	for _, s := range all {
		sum.Write([]byte(s.sql))
	}
	return hex.EncodeToString(sum.Sum(nil))[:12]
}

// Install creates the control schema or upgrades it, in one transaction under
// an advisory lock that it tries for until ctx ends. It changes nothing, and takes
// no lock, where the schema is up to date. schema is the schema's name, empty for [DefaultSchema].
func Install(ctx context.Context, conn *pgx.Conn, schema string) error {
	err := Check(ctx, conn, schema)
	if err == nil || !errors.Is(err, ErrOutdated) {
		return err
	}
	for {
		err := install(ctx, conn, NewStore(schema))
		var pgErr *pgconn.PgError
		if !errors.As(err, &pgErr) || pgErr.Code != lockNotAvailable {
			return err
		}
		// Somebody uses the tables, or installs them too: yield, then try again.
		select {
		case <-ctx.Done():
			return fmt.Errorf("install control schema: %w: %w", context.Cause(ctx), err)
		case <-time.After(200 * time.Millisecond):
		}
	}
}

const lockNotAvailable = "55P03"

func install(ctx context.Context, conn *pgx.Conn, store Store) error {
	all, err := steps()
	if err != nil {
		return err
	}
	// Whatever the database's default is: a step sees what was committed while it waited for a lock.
	err = pgx.BeginTxFunc(ctx, conn, pgx.TxOptions{IsoLevel: pgx.ReadCommitted}, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "SET LOCAL lock_timeout = '1s'; SET LOCAL synchronous_commit = on"); err != nil {
			return err
		}
		if err := refuseOldServer(ctx, tx); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, "SELECT pg_advisory_xact_lock($1::int, 0)", lockInstall); err != nil {
			return err
		}
		version, _, err := installed(ctx, tx, store)
		if err != nil {
			return err
		}
		if version == 0 {
			if _, err := tx.Exec(ctx, store.sql(createVersions)); err != nil {
				return err
			}
		}
		for _, s := range all {
			if s.version <= version {
				continue
			}
			if _, err := tx.Exec(ctx, store.sql(s.sql)); err != nil {
				return fmt.Errorf("version %d: %w", s.version, err)
			}
			if _, err := tx.Exec(ctx, store.sql("INSERT INTO bbm.versions (version, oldest_compatible) VALUES ($1, $2)"), s.version, oldestCompatible); err != nil {
				return err
			}
		}
		if _, err = tx.Exec(ctx, store.sql(secureSQL)); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, installedSQL, InstalledHint)
		return err
	})
	if err != nil {
		return fmt.Errorf("install control schema %s: %w", store.Schema(), denied(err))
	}
	return nil
}

// denied adds the way out to an error for want of a right.
func denied(err error) error {
	if pgErr, ok := errors.AsType[*pgconn.PgError](err); ok && pgErr.Code == RefusedRight {
		return fmt.Errorf("%w; `bbmd doctor` says which rights this role misses, and how to give it them", err)
	}
	return err
}

func refuseOldServer(ctx context.Context, db DB) error {
	var number int
	var version string
	err := db.QueryRow(ctx, "SELECT current_setting('server_version_num')::int, current_setting('server_version')").Scan(&number, &version)
	if err != nil {
		return fmt.Errorf("ask for the server's version: %w", err)
	}
	return supported(number, version)
}

func supported(number int, version string) error {
	if number/10000 < oldestServer {
		return fmt.Errorf("%w: it is PostgreSQL %s, and bbmd needs %d or newer: upgrade the server", ErrOldServer, version, oldestServer)
	}
	return nil
}

// InstalledHint is what an event of the channel bbm_status carries when the control
// schema was installed or upgraded: whoever works on it looks whether it still may.
const InstalledHint = "control_schema"

// Those who follow the write-ahead log hear a message in it.
const installedSQL = `SELECT pg_notify('bbm_status', $1::text),
	CASE current_setting('wal_level') WHEN 'logical' THEN pg_logical_emit_message(true, 'bbm_status', $1::text) END`

const createVersions = `
CREATE SCHEMA IF NOT EXISTS @schema@;
CREATE TABLE bbm.versions (
  version           int PRIMARY KEY,
  oldest_compatible int NOT NULL,
  installed_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
  installed_by      text NOT NULL DEFAULT session_user
);
COMMENT ON TABLE bbm.versions IS 'Upgrades of this schema. A bbmd that knows oldest_compatible or newer may use it.'`

// Check reports whether the control schema is one that this bbmd can use. It
// reads one row. The error wraps [ErrOutdated] or [ErrNewer].
func Check(ctx context.Context, db DB, schema string) error {
	store := NewStore(schema)
	version, compatible, err := installed(ctx, db, store)
	if err != nil {
		return fmt.Errorf("check control schema: %w", denied(err))
	}
	all, err := steps()
	if err != nil {
		return err
	}
	switch wanted := all[len(all)-1].version; {
	case version == 0:
		return fmt.Errorf("%w: schema %s has no bbmd tables", ErrOutdated, store.Schema())
	case version < wanted:
		return fmt.Errorf("%w: schema %s has version %d, this bbmd needs %d", ErrOutdated, store.Schema(), version, wanted)
	case wanted < compatible:
		return fmt.Errorf("%w: schema %s has version %d, which works with %d or newer; this bbmd knows %d", ErrNewer, store.Schema(), version, compatible, wanted)
	}
	return nil
}

// installed returns the version in the database, 0 for none, and the oldest
// version that may run beside it. It reads the catalog's tables: to_regclass answers
// from the session's cache, which does not know what was committed while this
// transaction waited for the advisory lock.
func installed(ctx context.Context, db DB, store Store) (version, compatible int, err error) {
	var exists bool
	err = db.QueryRow(ctx, `SELECT EXISTS (SELECT FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
		WHERE n.nspname = $1 AND c.relname = 'versions')`, store.name()).Scan(&exists)
	if err != nil || !exists {
		return 0, 0, err
	}
	err = db.QueryRow(ctx, store.sql("SELECT coalesce(max(version), 0), coalesce(max(oldest_compatible), 0) FROM bbm.versions")).Scan(&version, &compatible)
	return version, compatible, err
}
