package initialize

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"math/big"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/bbmd-dev/bbmd/internal/control"
)

const (
	firstPause   = 100 * time.Millisecond // between two attempts to take the lock
	longestPause = 2 * time.Second
	tellEvery    = 30 * time.Second // who holds it, again
)

// lock takes the database's lock for conn's session, and waits for whoever holds
// it. It polls: a session that waits inside the server holds a snapshot, for which CREATE
// INDEX CONCURRENTLY of the holder would wait in turn.
func (s Spec) lock(ctx context.Context, conn *pgx.Conn) (waited time.Duration, err error) {
	began := time.Now()
	patience := ctx // of the waiting alone: a statement that is cut off costs the session
	if s.Limits.Wait > 0 {
		var cancel context.CancelFunc
		patience, cancel = context.WithTimeoutCause(ctx, s.Limits.Wait, fmt.Errorf("waited for %v: %w", s.Limits.Wait, context.DeadlineExceeded))
		defer cancel()
	}
	var told time.Time
	for pause := firstPause; ; pause = min(2*pause, longestPause) {
		locked, err := s.store().TrySchemaLock(ctx, conn)
		if locked {
			return time.Since(began), nil
		}
		if err != nil {
			return 0, s.wrap("lock", err)
		}
		who, err := s.holder(ctx, conn)
		if err != nil {
			return 0, s.wrap("lock", err)
		}
		if time.Since(told) > tellEvery {
			s.logger().InfoContext(ctx, "waiting for another process that is at work on this database", "who", who)
			told = time.Now()
		}
		if err := rest(patience, pause); err != nil {
			return 0, &BusyError{Database: s.Database, Who: who, Err: err}
		}
	}
}

// rest waits for about as long as it is told, so that replicas do not come back all at once.
func rest(ctx context.Context, about time.Duration) error {
	n, err := rand.Int(rand.Reader, big.NewInt(int64(about)))
	if err != nil {
		return fmt.Errorf("jitter: %w", err)
	}
	timer := time.NewTimer(about/2 + time.Duration(n.Int64()))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// holder says who holds the lock, and since when.
func (s Spec) holder(ctx context.Context, db control.DB) (string, error) {
	h, err := s.store().SchemaLockHolder(ctx, db)
	if err != nil {
		return "", err
	}
	if h == nil {
		return "somebody else was at work until just now", nil
	}
	since := h.Since.Format(time.RFC3339)
	if h.Run != 0 {
		return fmt.Sprintf("run %d (%s) on %s is at work since %s, in session %d", h.Run, h.Action, h.Host, since, h.PID), nil
	}
	where := ""
	if h.Address != "" {
		where = " from " + h.Address
	}
	return fmt.Sprintf("%s%s, user %s, is at work since %s, in session %d", h.Application, where, h.User, since, h.PID), nil
}

// unlock gives the lock up, also when ctx has ended. It reports whether the session still had it.
func (s Spec) unlock(ctx context.Context, conn *pgx.Conn) (bool, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
	defer cancel()
	return s.store().ReleaseSchemaLock(ctx, conn)
}

// proofTimeout bounds what takes milliseconds, unless a pooler has no second session to give.
const proofTimeout = 10 * time.Second

// proveSession shows that conn keeps its session: from one transaction to the
// next, for poolers that hand out their sessions in turn, and while other is busy, for those that
// hand out the last one again. A lock would not hold otherwise, nor be given up.
func (s Spec) proveSession(ctx context.Context, conn, other *pgx.Conn) error {
	ctx, cancel := context.WithTimeout(ctx, proofTimeout)
	defer cancel()
	mark := rand.Text()
	if _, err := conn.Exec(ctx, "SELECT set_config('bbmd.session', $1, false)", control.Once, mark); err != nil {
		return s.wrap("prove the session", err)
	}
	same, err := marked(ctx, conn, mark)
	if err == nil && same {
		same, err = markedBeside(ctx, conn, other, mark)
	}
	switch {
	case err == nil && same:
		return nil
	case err == nil, errors.Is(err, context.DeadlineExceeded):
		return s.pooled(err)
	default:
		return s.wrap("prove the session", err)
	}
}

// pooled refuses a session that is none.
func (s Spec) pooled(err error) error {
	return &RefusalError{
		Database: s.Database, Refusal: RefusedPooler, Err: err,
		Reason: "the connection goes through a transaction pooler, where a session's lock does not hold",
		WayOut: "give a url that leads to PostgreSQL directly, or through a pooler in session mode",
	}
}

func markedBeside(ctx context.Context, conn, other *pgx.Conn, mark string) (bool, error) {
	tx, err := other.Begin(ctx)
	if err != nil {
		return false, err
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }() // it only read
	if there, err := marked(ctx, tx, mark); there || err != nil {
		return false, err // it is conn's own session
	}
	return marked(ctx, conn, mark)
}

func marked(ctx context.Context, db control.DB, mark string) (is bool, err error) {
	err = db.QueryRow(ctx, "SELECT coalesce(current_setting('bbmd.session', true), '') = $1", control.Once, mark).Scan(&is)
	return is, err
}

// held runs what uses other sessions than conn's, for as long as conn's session lives: when it
// is lost, the lock is too, and what runs is cancelled.
func held(ctx context.Context, conn *pgx.Conn, what func(context.Context) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	watching, stop := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			if _, err := conn.WaitForNotification(watching); err != nil {
				if watching.Err() == nil {
					cancel(fmt.Errorf("%w: %w", errLost, err))
				}
				return
			}
		}
	}()
	err := what(ctx)
	stop()
	<-ended
	if cause := context.Cause(ctx); errors.Is(cause, errLost) {
		return errors.Join(cause, err)
	}
	return err
}
