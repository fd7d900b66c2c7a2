package main

import (
	"context"
)

// checkConnection tells how the sessions come to the server. A pooler that
// passed the check of session locks pools by session; it hands out sessions under numbers of its own.
func checkConnection(ctx context.Context, p *patient) (string, error) {
	var pid uint32
	if err := row(ctx, p.conn, "SELECT pg_backend_pid()").Scan(&pid); err != nil {
		return "", err
	}
	if pid != p.conn.PgConn().PID() {
		return "through a pooler in session mode: it must allow as many sessions as bbmd needs, and let idle ones be", nil
	}
	if p.config.Databases[p.name].ListenURL != "" {
		return "direct, with another way for the events (listen_url)", nil
	}
	return "direct", nil
}
