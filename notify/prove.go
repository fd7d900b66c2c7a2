package notify

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
)

// proofTimeout bounds the wait for a notification that takes milliseconds if it
// comes at all.
const proofTimeout = 5 * time.Second

// prove shows that a notification of another session gets through to this one
// while it is idle, which is the one thing that a transaction pooler cannot do.
// It uses a channel of its own for that, and a second connection for a moment.
func (s *session) prove(ctx context.Context, config *pgconn.Config) error {
	channel := "bbmd_proof_" + rand.Text()
	if _, err := s.query(ctx, `LISTEN "`+channel+`"`); err != nil {
		return fmt.Errorf("prove that notifications arrive: %w", err)
	}
	if err := notifyOnce(ctx, config, channel); err != nil {
		return fmt.Errorf("prove that notifications arrive through the pooler: %w", err)
	}
	if err := s.await(ctx, channel); err != nil {
		return fmt.Errorf("prove that notifications arrive: %w", err)
	}
	if _, err := s.query(ctx, `UNLISTEN "`+channel+`"`); err != nil {
		return fmt.Errorf("prove that notifications arrive: %w", err)
	}
	return nil
}

// notifyOnce sends one notification from a connection of its own.
func notifyOnce(ctx context.Context, config *pgconn.Config, channel string) error {
	s, err := connect(ctx, config)
	if err != nil {
		return err
	}
	defer s.close()
	_, err = s.query(ctx, `NOTIFY "`+channel+`"`)
	return err
}

// await waits for a notification on channel, sending nothing.
func (s *session) await(ctx context.Context, channel string) error {
	if err := s.deadline(ctx, time.Now().Add(proofTimeout)); err != nil {
		return err
	}
	for {
		msg, err := s.frontend.Receive()
		switch {
		case err == nil:
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case errors.Is(err, os.ErrDeadlineExceeded):
			return ErrTransactionPooler
		default:
			return receiveError(err)
		}
		switch msg := msg.(type) {
		case *pgproto3.NotificationResponse:
			if msg.Channel == channel {
				return nil
			}
		case *pgproto3.ErrorResponse:
			return pgconn.ErrorResponseToPgError(msg)
		default: // notices and parameters
		}
	}
}
