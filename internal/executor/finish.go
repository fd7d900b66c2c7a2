package executor

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/bbmd-dev/bbmd/internal/control"
	"github.com/bbmd-dev/bbmd/registry"
)

// finishing is the handle of a batch that is run for good: a Work may leave its last statements to it.
type finishing struct {
	*handle

	last  []registry.Command
	ahead func(context.Context, registry.Batch) registry.Begun // begins the next batch
	begun registry.Begun                                       // this batch, ahead of its transaction
}

var (
	_ registry.Finisher = (*finishing)(nil)
	_ registry.Ahead    = (*finishing)(nil)
)

// Finish leaves commands for the commit.
func (f *finishing) Finish(commands ...registry.Command) error {
	if f.over {
		return errHandedIn
	}
	f.last = append(f.last, commands...)
	return nil
}

// Ahead leaves begin to be called with the next batch.
func (f *finishing) Ahead(begin func(context.Context, registry.Batch) registry.Begun) {
	if !f.over {
		f.ahead = begin
	}
}

// Begun returns what was begun for this batch, once.
func (f *finishing) Begun() registry.Begun {
	taken := f.begun
	f.begun = nil
	return taken
}

// finish sends the Work's last statements, puts the role back that may do so, fences and commits, and opens the
// next job's transaction along with it. It returns how many rows the last statements have affected.
func (r *explicit) finish(ctx context.Context, j *control.Job, f *finishing, fence [][]byte, next *control.Job) (rows int64, err error) {
	last := f.last
	for i, c := range last {
		if err := r.know(ctx, c.SQL); err != nil {
			return 0, fmt.Errorf("statement %d: %w", i+1, err)
		}
	}
	err = readingGroup(ctx, r.session.conn, func(p *pgconn.Pipeline) {
		for _, c := range last {
			if name := r.known[c.SQL]; name != "" && !r.renew {
				p.SendQueryPrepared(name, texts(c.Args), nil, nil)
			} else {
				p.SendQueryParams(c.SQL, texts(c.Args), nil, nil, nil)
			}
		}
		r.sendCommit(p, fence, next)
	}, func() { r.begin(ctx, f.ahead, next) }, func(statement int, tag pgconn.CommandTag) {
		if statement < len(last) {
			rows += tag.RowsAffected()
		}
	})
	var g *groupError
	switch {
	case err == nil:
		r.opened = next
		return rows, nil
	case fenceRefused(err, len(last)+1):
		return 0, r.whyRefused(ctx, j)
	case errors.As(err, &g) && g.statement < len(last):
		return 0, fmt.Errorf("statement %d: %w", g.statement+1, err)
	default:
		return 0, err
	}
}

// mostKnown is how many last statements a session prepares: a Work that writes another text for each batch
// shall not fill it.
const mostKnown = 16

// know prepares a last statement that will come again, most probably.
func (r *explicit) know(ctx context.Context, sql string) error {
	if _, is := r.known[sql]; is || r.renew || len(r.known) == mostKnown {
		return nil
	}
	name := fmt.Sprintf("bbmd_last_%d", len(r.known))
	if err := prepareAll(ctx, r.session.conn, []statement{prepared(name, sql)}); err != nil {
		return err
	}
	r.known[sql] = name
	return nil
}

// sendCommit sends what ends a transaction, and what begins the next one where there is one.
func (r *explicit) sendCommit(p *pgconn.Pipeline, fence [][]byte, next *control.Job) {
	if r.renew { // the prepared ones are gone
		p.SendQueryParams("RESET ROLE", nil, nil, nil, nil)
		p.SendQueryParams(r.opts.Store.TokenFenceSQL(r.target.index), fence, nil, nil, nil)
		p.SendQueryParams("COMMIT", nil, nil, nil, nil)
		return
	}
	p.SendQueryPrepared(stmtResetRole, nil, nil, nil)
	p.SendQueryPrepared(stmtTokenFence, fence, nil, nil)
	if next == nil {
		p.SendQueryPrepared(stmtCommit, nil, nil, nil)
		return
	}
	p.SendQueryPrepared(stmtChain, nil, nil, nil)
	r.sendOpening(p, next)
}

func texts(args []*string) [][]byte {
	values := make([][]byte, len(args))
	for i, arg := range args {
		if arg != nil {
			values[i] = []byte(*arg) // not nil, even when it is empty
		}
	}
	return values
}
