package notify

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
)

// open returns a session on which the stream has begun: what commits from now on
// arrives, and what has committed before is for the scan that follows.
//
// The order matters. The publication is there before the slot is, since the server
// looks it up as of each change; and a slot begins where no transaction is open
// that it would see one half of.
func (s *Stream) open(ctx context.Context) (*session, *decoder, error) {
	session, err := s.connect(ctx)
	if err != nil {
		return nil, nil, err
	}
	decoder, err := s.begin(ctx, session)
	if err != nil {
		session.close()
		return nil, nil, err
	}
	return session, decoder, nil
}

func (s *Stream) begin(ctx context.Context, session *session) (*decoder, error) {
	found, err := s.examine(ctx, session)
	if err != nil {
		return nil, err
	}
	if err := s.publish(ctx, session, found); err != nil {
		return nil, err
	}
	decoder := newDecoder(s.schema)
	if err := s.learn(ctx, session, decoder); err != nil {
		return nil, err
	}
	slot := slotName()
	if err := s.createSlot(ctx, session, slot); err != nil {
		return nil, err
	}
	return decoder, s.start(ctx, session, slot, found.version)
}

// slotName returns a name that no other session has. The slot goes with the
// session, and after an unclean end there may be one left for a while.
func slotName() string { return "bbmd_" + strings.ToLower(rand.Text()) }

// learn reads the names of the migrations that are at work, which the counters do
// not have.
func (s *Stream) learn(ctx context.Context, session *session, d *decoder) error {
	rows, err := session.query(ctx, "SELECT id, name FROM "+quoteIdent(s.schema)+"."+tableMigrations+
		" WHERE status IN ('active', 'running') ORDER BY id DESC LIMIT 1000")
	if err != nil {
		return fmt.Errorf("read migrations: %w", err)
	}
	for _, row := range rows {
		if len(row) == 2 {
			d.remember(row[0], migration{name: row[1]})
		}
	}
	return nil
}

// slotPatience bounds the creation of a slot, which waits for every transaction of
// the server that writes and is open. Giving up sooner would only begin a wait for
// those that came since.
const slotPatience = time.Hour

// createSlot creates a temporary slot: nothing is left of it when the connection
// ends, however it ends, so it can hold back the log no longer than that.
func (s *Stream) createSlot(ctx context.Context, session *session, slot string) error {
	began := time.Now()
	if err := session.deadline(ctx, began.Add(statementTimeout)); err != nil {
		return err
	}
	if err := session.send(&pgproto3.Query{String: "CREATE_REPLICATION_SLOT " + quoteIdent(slot) + " TEMPORARY LOGICAL pgoutput NOEXPORT_SNAPSHOT"}); err != nil {
		return err
	}
	var failed error
	for {
		msg, err := session.frontend.Receive()
		switch {
		case err == nil:
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case errors.Is(err, os.ErrDeadlineExceeded) && time.Since(began) < slotPatience:
			s.logger.WarnContext(ctx, "not streaming events yet: the slot waits for the transactions that are open",
				"waited", time.Since(began).Round(time.Second))
			if err := session.deadline(ctx, began.Add(slotPatience)); err != nil {
				return err
			}
			continue
		default:
			return fmt.Errorf("create replication slot: %w", receiveError(err))
		}
		switch msg := msg.(type) {
		case *pgproto3.ErrorResponse:
			failed = explainSlot(pgconn.ErrorResponseToPgError(msg))
			if fatal(msg) {
				return failed
			}
		case *pgproto3.ReadyForQuery:
			return failed
		default: // its name and where it begins
		}
	}
}

// start begins the stream where the slot does.
func (s *Stream) start(ctx context.Context, session *session, slot string, version int) error {
	if err := session.deadline(ctx, time.Now().Add(statementTimeout)); err != nil {
		return err
	}
	options := "proto_version '1', publication_names " + quoteLiteral(quoteIdent(s.publication))
	if version >= versionMessages {
		options += ", messages 'true'"
	}
	if err := session.send(&pgproto3.Query{String: "START_REPLICATION SLOT " + quoteIdent(slot) + " LOGICAL 0/0 (" + options + ")"}); err != nil {
		return err
	}
	for {
		msg, err := session.frontend.Receive()
		if err != nil {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			return fmt.Errorf("start replication: %w", receiveError(err))
		}
		switch msg := msg.(type) {
		case *pgproto3.CopyBothResponse:
			return nil
		case *pgproto3.ErrorResponse:
			return fmt.Errorf("start replication: %w", pgconn.ErrorResponseToPgError(msg))
		case *pgproto3.ReadyForQuery:
			return errors.New("start replication: the server does not stream")
		default: // notices and parameters
		}
	}
}

// quoteIdent writes a name as SQL does, so that it may be any.
func quoteIdent(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

// quoteLiteral writes a text that has no backslash in it as SQL does.
func quoteLiteral(text string) string { return "'" + strings.ReplaceAll(text, "'", "''") + "'" }
