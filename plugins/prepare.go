package plugins

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// Preparer is an [Opened] that can ask a database whether it would take what
// the plugin sends.
type Preparer interface {
	// Prepare returns why the database refuses. It changes nothing in it.
	Prepare(ctx context.Context, conn *pgx.Conn) error
}

// Prepare returns the plugins that the database refuses, in the state invalid
// and with the reason. They stay in use: another database may take them, this
// one may do so tomorrow, and a migration is checked again before it starts. An
// error says that the database could not be asked.
func (s *Snapshot) Prepare(ctx context.Context, conn *pgx.Conn) ([]Plugin, error) {
	var refused []Plugin
	for _, e := range s.entries {
		preparer, ok := e.opened.(Preparer)
		if !ok {
			continue
		}
		err := preparer.Prepare(ctx, conn)
		if conn.IsClosed() || ctx.Err() != nil {
			return refused, fmt.Errorf("prepare plugin %s: %w", e.plugin.Origin.Path, err)
		}
		if err != nil {
			p := e.now()
			p.State, p.Reason = StateInvalid, err.Error()
			refused = append(refused, p)
		}
	}
	return refused, nil
}
