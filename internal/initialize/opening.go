package initialize

import (
	"context"

	"github.com/jackc/pgx/v5"
)

// opening is a session that the server makes ready while the files are read: on a database that is up to date these
// are the two things that take long.
type opening struct {
	cancel context.CancelFunc
	ready  chan struct{}
	conn   *pgx.Conn
	err    error
}

// beginOpen begins to open a session, or returns nil where there is nothing to read meanwhile. [opening.wait] or
// [opening.drop] has to follow.
func (s Spec) beginOpen(ctx context.Context) *opening {
	if s.Migrations == "" || s.Validate() != nil {
		return nil
	}
	ctx, cancel := context.WithCancel(ctx)
	o := &opening{cancel: cancel, ready: make(chan struct{})}
	go func() {
		defer close(o.ready)
		o.conn, o.err = s.open(ctx)
	}()
	return o
}

// wait returns what [Spec.open] does.
func (o *opening) wait() (*pgx.Conn, error) {
	<-o.ready
	o.cancel()
	return o.conn, o.err
}

// drop gives the session up.
func (o *opening) drop(ctx context.Context) {
	if o == nil {
		return
	}
	o.cancel()
	if conn, err := o.wait(); err == nil {
		hangUp(ctx, conn)
	}
}

// openWith is [Spec.open], which may have begun before.
func (s Spec) openWith(ctx context.Context, begun *opening) (*pgx.Conn, error) {
	if begun == nil {
		return s.open(ctx)
	}
	return begun.wait()
}
