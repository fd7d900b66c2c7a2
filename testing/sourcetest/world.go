package sourcetest

import (
	"context"
	"net/url"
	"strconv"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/testing/pgtest"
)

// world is a database with a table of changes, and a subject to watch it.
type world struct {
	Subject

	db *pgtest.Database
}

func newWorld(t *testing.T, subject Subject, db *pgtest.Database) *world {
	t.Helper()
	db.Exec(t, "CREATE TABLE sourcetest_changes (id bigint PRIMARY KEY)")
	subject.Prepare(t, db)
	return &world{Subject: subject, db: db}
}

// commit commits change number id, and returns once it is committed.
func (w *world) commit(t *testing.T, conn *pgx.Conn, id int) {
	t.Helper()
	tx := w.begin(t, conn, id)
	require.NoError(t, tx.Commit(t.Context()))
}

// tryCommit is commit for another goroutine than the test's.
func (w *world) tryCommit(t *testing.T, conn *pgx.Conn, id int) bool {
	t.Helper()
	err := pgx.BeginFunc(t.Context(), conn, func(tx pgx.Tx) error {
		if _, err := tx.Exec(t.Context(), "INSERT INTO sourcetest_changes VALUES ($1)", id); err != nil {
			return err
		}
		_, err := tx.Exec(t.Context(), w.Change)
		return err
	})
	if err != nil {
		t.Errorf("commit change %d: %v", id, err)
	}
	return err == nil
}

// begin makes change number id in a transaction that is left open.
func (w *world) begin(t *testing.T, conn *pgx.Conn, id int) pgx.Tx {
	t.Helper()
	tx, err := conn.Begin(t.Context())
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), "INSERT INTO sourcetest_changes VALUES ($1)", id)
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), w.Change)
	require.NoError(t, err)
	return tx
}

// commitMany commits the changes from first to last, each in a transaction of its
// own, as fast as the server can.
func (w *world) commitMany(t *testing.T, first, last int) {
	t.Helper()
	w.db.Exec(t, `CREATE PROCEDURE sourcetest_commit_many(first int, last int, change text) LANGUAGE plpgsql AS $$
		BEGIN
			FOR i IN first..last LOOP
				INSERT INTO sourcetest_changes VALUES (i);
				EXECUTE change;
				COMMIT;
			END LOOP;
		END $$`)
	w.db.Exec(t, "CALL sourcetest_commit_many($1, $2, $3)", first, last, w.Change)
}

// terminate ends the sessions of the running sources and returns how many there
// were. It does not wait for their ends.
func (w *world) terminate(t *testing.T, conn *pgx.Conn) int {
	t.Helper()
	var ended int
	err := conn.QueryRow(t.Context(), "SELECT count(pg_terminate_backend(pid)) FROM ("+w.Sessions+") AS sessions (pid)").Scan(&ended)
	require.NoError(t, err)
	return ended
}

// untilNoSessions waits, on a connection that is there already, until the
// sessions that were terminated are gone.
func (w *world) untilNoSessions(t *testing.T, conn *pgx.Conn) {
	t.Helper()
	_, err := conn.Exec(t.Context(), `DO $$
		BEGIN
			WHILE EXISTS (`+w.Sessions+`) LOOP
				PERFORM pg_sleep(0.01), pg_stat_clear_snapshot();
			END LOOP;
		END $$`)
	require.NoError(t, err)
}

// untilSession waits until a source has a session, whether it is subscribed or not.
func (w *world) untilSession(t *testing.T) {
	t.Helper()
	w.db.WaitFor(t, "SELECT EXISTS ("+w.Sessions+")")
}

// allowConnections opens and shuts the database for new sessions.
func (w *world) allowConnections(t *testing.T, allow bool) {
	t.Helper()
	maintenance, err := url.Parse(w.db.URL)
	require.NoError(t, err)
	maintenance.Path = "/postgres" // a session cannot shut its own database
	conn, err := pgx.Connect(t.Context(), maintenance.String())
	require.NoError(t, err)
	defer func() { require.NoError(t, conn.Close(t.Context())) }()
	_, err = conn.Exec(t.Context(), "ALTER DATABASE "+w.db.Name+" ALLOW_CONNECTIONS "+strconv.FormatBool(allow))
	require.NoError(t, err)
}

// last returns the number of the last change, read on a connection of its own.
func last(ctx context.Context, url string) (int, error) {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return 0, err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	var id int
	err = conn.QueryRow(ctx, "SELECT coalesce(max(id), 0) FROM sourcetest_changes").Scan(&id)
	return id, err
}
