package daemon

import (
	"context"
	"fmt"
	"sync"

	"github.com/jackc/pgx/v5"

	"github.com/bbmd-dev/bbmd/internal/await"
)

// waitRoom is where those sit who wait for a database over HTTP. However many they are, they
// share one session, which is there while somebody waits.
type waitRoom struct {
	connect func(context.Context) (*pgx.Conn, error)

	mu      sync.Mutex
	waiting int
	news    chan struct{} // closed when something has happened

	turn chan struct{} // of those who look; what follows belongs to whose it is
	conn *pgx.Conn
}

func newWaitRoom(connect func(context.Context) (*pgx.Conn, error)) *waitRoom {
	return &waitRoom{connect: connect, news: make(chan struct{}), turn: make(chan struct{}, 1)}
}

// tell calls everybody to look again.
func (r *waitRoom) tell() {
	r.mu.Lock()
	defer r.mu.Unlock()
	close(r.news)
	r.news = make(chan struct{})
}

// next is closed with the next event. Take it before looking.
func (r *waitRoom) next() <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.news
}

// waitersMost bounds those who wait for one database over HTTP.
const waitersMost = 1000

// enter makes room for one, unless there is none.
func (r *waitRoom) enter() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.waiting == waitersMost {
		return false
	}
	r.waiting++
	return true
}

// leave closes the session behind the last one.
func (r *waitRoom) leave(ctx context.Context) {
	r.turn <- struct{}{}
	defer func() { <-r.turn }()
	r.mu.Lock()
	r.waiting--
	last := r.waiting == 0
	r.mu.Unlock()
	if last {
		r.hangUp(ctx)
	}
}

// hangUp closes the session. The turn is the caller's.
func (r *waitRoom) hangUp(ctx context.Context) {
	if r.conn != nil {
		_ = r.conn.Close(context.WithoutCancel(ctx)) // the session ends either way
		r.conn = nil
	}
}

// look looks once, when it is its turn.
func (r *waitRoom) look(ctx context.Context, target await.Target) (await.Verdict, error) {
	select {
	case r.turn <- struct{}{}:
	case <-ctx.Done():
		return await.Verdict{}, context.Cause(ctx)
	}
	defer func() { <-r.turn }()
	if r.conn != nil && r.conn.IsClosed() {
		r.conn = nil
	}
	if r.conn == nil {
		conn, err := r.connect(ctx)
		if err != nil {
			return await.Verdict{}, fmt.Errorf("no connection: %w", err)
		}
		r.conn = conn
	}
	verdict, err := target.Look(ctx, r.conn)
	if err != nil && r.conn.IsClosed() {
		r.conn = nil
	}
	return verdict, err
}
