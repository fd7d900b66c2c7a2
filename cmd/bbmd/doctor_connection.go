package main

import "context"

// checkConnection tells how the sessions come to the server. A pooler that
// passed the check of session locks pools by session; it hands out sessions under numbers of its own.
func checkConnection(ctx context.Context, p *patient) (string, error) {
	var pid uint32
	if err := row(ctx, p.conn, "SELECT pg_backend_pid()").Scan(&pid); err != nil {
		return "", err
	}
	return kindOfConnection(pid, p.conn.PgConn().PID(), p.config.Databases[p.name].ListenURL != ""), nil
}

// kindOfConnection compares the number of the server's process with the one that the session was
// opened with.
func kindOfConnection(process, announced uint32, listensElsewhere bool) string {
	kind := "direct"
	if process != announced {
		kind = "through a pooler in session mode, which must allow as many sessions as bbmd needs, and let idle ones be"
	}
	if listensElsewhere {
		kind += "; events come another way (listen_url)"
	}
	return kind
}
