package bench

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// plain is the floor: loops that send one prepared UPDATE after the other, each its
// own transaction, and know the batches beforehand. Each slice has sessions that were made as new, as a migration has,
// which is not measured.
type plain struct {
	db    *database
	keys  keys
	conns []*pgx.Conn
}

const plainStatement = "bench_plain"

// ready gives the loops their sessions, as an executor keeps those of its workers: what they have done before is taken away, and
// what the server knows of the tables stays.
func (p *plain) ready(ctx context.Context) error {
	for i, conn := range p.conns {
		var err error
		if conn == nil {
			conn, err = p.db.connect(ctx, "bench loop")
			p.conns[i] = conn
		} else {
			_, err = conn.Exec(ctx, "DISCARD ALL")
			err = errors.Join(conn.DeallocateAll(ctx), err)
		}
		if err != nil {
			return err
		}
		sql := fmt.Sprintf("%sid BETWEEN $1::%s AND $2::%s", update, p.keys, p.keys)
		if _, err := conn.Prepare(ctx, plainStatement, sql); err != nil {
			return fmt.Errorf("prepare the bare loop: %w", err)
		}
	}
	return nil
}

func (p *plain) close(ctx context.Context) {
	for _, conn := range p.conns {
		if conn != nil {
			closeConn(ctx, conn)
		}
	}
}

// run gives each loop its part of the slice, and returns when the last has ended.
func (p *plain) run(ctx context.Context, s slice) (timing, error) {
	began := time.Now()
	ended := make(chan error, len(p.conns))
	for i, conn := range p.conns {
		part := s.batches[i*len(s.batches)/len(p.conns) : (i+1)*len(s.batches)/len(p.conns)]
		go func() { ended <- loop(ctx, conn, part, s.size) }()
	}
	var err error
	for range p.conns {
		err = errors.Join(err, <-ended)
	}
	return timing{wall: time.Since(began)}, err
}

func loop(ctx context.Context, conn *pgx.Conn, batches []batch, size int) error {
	for _, b := range batches {
		tag, err := conn.Exec(ctx, plainStatement, b.first, b.last)
		if err != nil {
			return fmt.Errorf("bare loop: %w", err)
		}
		if tag.RowsAffected() != int64(size) {
			return fmt.Errorf("bare loop: %d rows from %s to %s, not %d", tag.RowsAffected(), b.first, b.last, size)
		}
	}
	return nil
}
