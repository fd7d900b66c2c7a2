package demo

import (
	"context"
	"io"

	"github.com/jackc/pgx/v5"

	"github.com/bbmd-dev/bbmd/internal/terminal"
)

// Prove looks for the proof in a database that a test has made.
func Prove(ctx context.Context, out io.Writer, conn *pgx.Conn, scale int) error {
	screen := terminal.Screen{Out: out}
	s := &story{options: Options{Screen: screen, Scale: scale}, teller: newTeller(screen), conn: conn}
	return s.prove(ctx)
}

// LikePgbench makes the tables without pgbench.
func LikePgbench(ctx context.Context, conn *pgx.Conn, scale int) error {
	s := &story{options: Options{Scale: scale}, conn: conn}
	return s.likePgbench(ctx)
}
