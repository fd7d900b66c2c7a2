package notify

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
)

// Server versions, as numbers.
const (
	versionMessages = 14_00_00 // pgoutput can send messages
)

// SQLSTATEs of what is missing for a stream.
const (
	codeInsufficientPrivilege  = "42501"
	codeNotInPrerequisiteState = "55000"
	codeConfigurationLimit     = "53400"
	codeTooManyConnections     = "53300"
	codeSyntaxError            = "42601"
	codeUniqueViolation        = "23505"
	codeDuplicateObject        = "42710"
)

// found is what a look at the server has brought.
type found struct {
	version   int
	published bool     // there is a publication of that name
	all       bool     // it sends what is inserted, updated and deleted
	missing   []string // tables that it does not have
	mayCreate bool
}

// examine looks whether the server can stream, and what there is of the
// publication. It changes nothing.
func (s *Stream) examine(ctx context.Context, session *session) (found, error) {
	f, err := s.server(ctx, session)
	if err != nil {
		return f, err
	}
	rows, err := session.query(ctx, s.publicationSQL())
	if err != nil {
		return f, fmt.Errorf("look up publication: %w", err)
	}
	for _, row := range rows {
		if len(row) != 5 {
			return f, errors.New("look up publication: the server's answer is not what was asked for")
		}
		name, exists, included := row[0], row[1] == "t", row[2] == "t"
		if !exists {
			return f, fmt.Errorf("%w: there is no table %s.%s: bbmd makes it when it starts; is control_schema right?", ErrCannotStream, s.schema, name)
		}
		if !included {
			f.missing = append(f.missing, name)
		}
		f.published, f.all = row[3] != "", row[3] == "ttt"
		f.mayCreate = row[4] == "t"
	}
	if (f.published && len(f.missing) == 0 && f.all) || f.mayCreate {
		return f, nil
	}
	return f, s.mayNot(f)
}

const serverSQL = `SELECT current_setting('server_version_num'), current_setting('wal_level'), current_setting('synchronous_standby_names'),
	(SELECT count(*) FROM pg_catalog.pg_replication_slots) >= current_setting('max_replication_slots')::int, pg_catalog.pg_is_in_recovery()`

// server asks for what does not depend on us.
func (s *Stream) server(ctx context.Context, session *session) (found, error) {
	rows, err := session.query(ctx, serverSQL)
	if err != nil {
		return found{}, fmt.Errorf("examine server: %w", err)
	}
	if len(rows) != 1 || len(rows[0]) != 5 {
		return found{}, errors.New("examine server: the answer is not what was asked for")
	}
	row := rows[0]
	version, err := strconv.Atoi(row[0])
	switch {
	case err != nil:
		return found{}, fmt.Errorf("examine server: version %q is no number", row[0])
	case row[4] == "t":
		return found{}, ErrStandby
	case row[1] != "logical":
		return found{}, fmt.Errorf("%w: wal_level is %s: set it to logical and restart the server, or choose `events: notify`", ErrCannotStream, row[1])
	case strings.Contains(row[2], "*"):
		return found{}, fmt.Errorf("%w: synchronous_standby_names is %s, so that every commit of the server might wait for this stream: "+
			"name the standbys there, or choose `events: notify`", ErrCannotStream, row[2])
	case row[3] == "t":
		return found{}, errNoSlot()
	default:
		return found{version: version}, nil
	}
}

func errNoSlot() error {
	return fmt.Errorf("%w: all replication slots are in use: raise max_replication_slots, which needs a restart, or drop one that nobody reads", ErrCannotStream)
}

// publicationSQL asks for each table: whether it is there, whether it is published, what the
// publication sends, and whether we may make it.
func (s *Stream) publicationSQL() string {
	tables := make([]string, 0, len(PublishedTables()))
	for _, name := range PublishedTables() {
		tables = append(tables, quoteLiteral(name))
	}
	schema, publication := quoteLiteral(s.schema), quoteLiteral(s.publication)
	return `WITH wanted AS (
	SELECT t.name, c.oid, c.relowner FROM unnest(ARRAY[` + strings.Join(tables, ", ") + `]) AS t (name)
	LEFT JOIN pg_catalog.pg_namespace n ON n.nspname = ` + schema + `
	LEFT JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = t.name AND c.relkind = 'r')
SELECT w.name, w.oid IS NOT NULL,
	EXISTS (SELECT FROM pg_catalog.pg_publication_tables p WHERE p.pubname = ` + publication + ` AND p.schemaname = ` + schema + ` AND p.tablename = w.name),
	coalesce((SELECT left(p.pubinsert::text, 1) || left(p.pubupdate::text, 1) || left(p.pubdelete::text, 1) FROM pg_catalog.pg_publication p WHERE p.pubname = ` + publication + `), ''),
	(SELECT coalesce(bool_and(pg_catalog.pg_has_role(o.relowner, 'USAGE')), false) FROM wanted o)
	AND coalesce((SELECT pg_catalog.pg_has_role(p.pubowner, 'USAGE') FROM pg_catalog.pg_publication p WHERE p.pubname = ` + publication + `),
		pg_catalog.has_database_privilege(pg_catalog.current_database(), 'CREATE'))
FROM wanted w ORDER BY w.name`
}

// statement returns what makes the publication whole.
func (s *Stream) statement(f found) string {
	names := PublishedTables()
	if f.published {
		names = f.missing
	}
	tables := make([]string, 0, len(names))
	for _, name := range names {
		tables = append(tables, quoteIdent(s.schema)+"."+name)
	}
	publication, list := quoteIdent(s.publication), strings.Join(tables, ", ")
	const what = "publish = 'insert, update, delete'"
	switch {
	case !f.published:
		return "CREATE PUBLICATION " + publication + " FOR TABLE " + list + " WITH (" + what + ")"
	case len(names) > 0:
		return "ALTER PUBLICATION " + publication + " ADD TABLE " + list
	default:
		return "ALTER PUBLICATION " + publication + " SET (" + what + ")"
	}
}

// mayNot says who may make the publication whole, and how.
func (s *Stream) mayNot(f found) error {
	who := "the owner of the tables, who needs CREATE on the database"
	if f.published {
		who = "the owner of the publication and the tables"
	}
	return fmt.Errorf("%w: publication %s does not have all that is needed, and this role may not change that: let %s run: %s",
		ErrCannotStream, s.publication, who, s.statement(f))
}

// publish makes the publication whole. Another replica may do so at the same time.
func (s *Stream) publish(ctx context.Context, session *session, f found) error {
	for f.incomplete() {
		before := s.statement(f)
		if _, err := session.query(ctx, before); err != nil && !happened(err) {
			return fmt.Errorf("make publication %s: %w", s.publication, err)
		}
		var err error
		if f, err = s.examine(ctx, session); err != nil {
			return err
		}
		if f.incomplete() && s.statement(f) == before {
			return fmt.Errorf("make publication %s: it is still not whole after: %s", s.publication, before)
		}
	}
	return nil
}

func (f found) incomplete() bool { return !f.published || !f.all || len(f.missing) > 0 }

// happened reports whether err says that somebody else was first.
func happened(err error) bool {
	refused, ok := errors.AsType[*pgconn.PgError](err)
	return ok && slices.Contains([]string{codeUniqueViolation, codeDuplicateObject}, refused.Code)
}

// explainConnect says what to do where a connection was refused for what it is to
// be used for.
func explainConnect(err error, user string) error {
	refused, ok := errors.AsType[*pgconn.PgError](err)
	if !ok {
		return err
	}
	switch refused.Code {
	case codeInsufficientPrivilege:
		return fmt.Errorf("%w: the role lacks the REPLICATION attribute: ALTER ROLE %s REPLICATION (managed servers have a role to grant instead), "+
			"or choose `events: notify`: %w", ErrCannotStream, quoteIdent(user), err)
	case codeProtocolViolation:
		return fmt.Errorf("%w: there is a pooler in between, which passes no stream on: set listen_url to a direct connection: %w", ErrCannotStream, err)
	case codeTooManyConnections:
		return fmt.Errorf("no connection is free: raise max_wal_senders (or max_connections), or close those of others: %w", err)
	default:
		return err
	}
}

// explainSlot says what to do where the server makes no slot.
func explainSlot(err error) error {
	refused, ok := errors.AsType[*pgconn.PgError](err)
	switch {
	case ok && refused.Code == codeConfigurationLimit:
		return errNoSlot()
	case ok && refused.Code == codeSyntaxError:
		return fmt.Errorf("%w: something in between has made a plain connection of this one: set listen_url to a direct connection: %w", ErrCannotStream, err)
	default:
		return fmt.Errorf("create replication slot: %w", err)
	}
}
