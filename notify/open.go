package notify

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/bbmd-dev/bbmd/internal/network"
)

// open returns a session on which all channels are listened to, verified.
func open(ctx context.Context, config *pgconn.Config) (*session, error) {
	s, err := connect(ctx, config)
	if err != nil {
		return nil, err
	}
	if err := s.subscribe(ctx, config); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

// connect opens a session, without those of our settings that the server does
// not know. They are forgotten in config, so that the next try is not refused.
func connect(ctx context.Context, config *pgconn.Config) (*session, error) {
	for {
		conn, err := pgconn.ConnectConfig(ctx, config)
		switch {
		case err == nil:
			return newSession(ctx, conn)
		case errors.Is(err, ErrStandby) && !network.HasOtherHosts(config):
			return nil, fmt.Errorf("connect: %w", ErrStandby) // once, not with and without TLS
		case !dropRefused(config, err):
			return nil, err // it says that it could not connect, and where
		}
	}
}

// Both statements name the process that ran them. A transaction pooler gives the
// second one to whichever server connection is free.
const (
	pidSQL    = "SELECT pg_catalog.pg_backend_pid()"
	verifySQL = "SELECT pg_catalog.pg_backend_pid(), channel FROM pg_catalog.pg_listening_channels() AS channel"
)

// subscribe listens to all channels and proves that the subscription is in force.
// LISTEN has committed when the first query returns; whatever commits later is
// notified, whatever committed before is for the scan that follows.
func (s *session) subscribe(ctx context.Context, config *pgconn.Config) error {
	var sql strings.Builder
	for _, channel := range Channels() {
		sql.WriteString("LISTEN " + channel + "; ")
	}
	rows, err := s.query(ctx, sql.String()+pidSQL)
	if err != nil {
		var refused *pgconn.PgError
		if errors.As(err, &refused) && refused.Code == codeReadOnly {
			return fmt.Errorf("listen: %w", ErrStandby)
		}
		return fmt.Errorf("listen: %w", err)
	}
	if len(rows) != 1 || len(rows[0]) != 1 {
		return errors.New("listen: the server did not say which process it is")
	}
	pid := rows[0][0]
	if err := s.verify(ctx, pid); err != nil {
		return err
	}
	if pid == strconv.FormatUint(uint64(s.pid), 10) {
		return nil
	}
	// Somebody in between made up the process number of the startup: a pooler.
	// With one free server connection a transaction pooler passes the check above.
	if err := s.prove(ctx, config); err != nil {
		return err
	}
	return s.verify(ctx, pid)
}

// verify asks, in a statement of its own, whether this is still the process that
// listens.
func (s *session) verify(ctx context.Context, pid string) error {
	rows, err := s.query(ctx, verifySQL)
	if err != nil {
		return fmt.Errorf("verify listening channels: %w", err)
	}
	listening := make([]string, 0, len(rows))
	for _, row := range rows {
		if len(row) != 2 || row[0] != pid {
			return fmt.Errorf("verify listening channels: %w", ErrTransactionPooler)
		}
		listening = append(listening, row[1])
	}
	for _, channel := range Channels() {
		if !slices.Contains(listening, channel) {
			return fmt.Errorf("verify listening channels: %w", ErrTransactionPooler)
		}
	}
	return nil
}
