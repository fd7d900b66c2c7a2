package bench

import (
	"context"
	"fmt"
	"net/url"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/bbmd-dev/bbmd/internal/control"
	"github.com/bbmd-dev/bbmd/internal/pgserver"
)

// startServer starts a durable server with pinned settings: commits reach the
// disk, and nothing runs at a moment of its own choosing.
func startServer(ctx context.Context, o Options) (*pgserver.Server, error) {
	settings := map[string]string{
		"synchronous_commit": "on",
		"full_page_writes":   "on",
		"autovacuum":         "off", // each pass begins with a VACUUM instead
		"checkpoint_timeout": "1h",  // each pass begins with a CHECKPOINT instead
		"max_wal_size":       "8GB",
		"min_wal_size":       "2GB",
		"shared_buffers":     "2GB",
	}
	if o.Tiny {
		settings["max_wal_size"], settings["min_wal_size"], settings["shared_buffers"] = "1GB", "80MB", "128MB"
	}
	return pgserver.Start(ctx, pgserver.Options{Durable: true, Settings: settings})
}

// database is one of a measurement's own, with a session for what is not measured.
type database struct {
	server *pgserver.Server
	name   string
	url    string
	admin  *pgx.Conn
}

// newDatabase makes a database with the control schema.
func newDatabase(ctx context.Context, server *pgserver.Server, name string) (*database, error) {
	root, err := pgx.Connect(ctx, server.URL("postgres"))
	if err != nil {
		return nil, fmt.Errorf("make database %s: %w", name, err)
	}
	defer closeConn(ctx, root)
	if _, err := root.Exec(ctx, "CREATE DATABASE "+pgx.Identifier{name}.Sanitize()); err != nil {
		return nil, fmt.Errorf("make database %s: %w", name, err)
	}
	d := &database{server: server, name: name, url: server.URL(name)}
	if d.admin, err = d.connect(ctx, "bench"); err != nil {
		return nil, err
	}
	if err := control.Install(ctx, d.admin, ""); err != nil {
		d.close(ctx)
		return nil, err
	}
	return d, nil
}

// connect opens a session that shows under a name of its own.
func (d *database) connect(ctx context.Context, application string) (*pgx.Conn, error) {
	conn, err := pgx.Connect(ctx, d.url+"&application_name="+url.QueryEscape(application))
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", d.name, err)
	}
	return conn, nil
}

func (d *database) close(ctx context.Context) { closeConn(ctx, d.admin) }

func closeConn(ctx context.Context, conn *pgx.Conn) {
	_ = conn.Close(context.WithoutCancel(ctx)) // the server ends with the measurement anyhow
}

// run executes statements that are not measured.
func (d *database) run(ctx context.Context, statements ...string) error {
	for _, sql := range statements {
		if _, err := d.admin.Exec(ctx, sql); err != nil {
			return fmt.Errorf("%w\nin: %s", err, sql)
		}
	}
	return nil
}

// meter is what the whole server and this process have used so far.
type meter struct {
	cpu     int64 // nanoseconds
	wal     int64 // bytes
	written int64 // transactions that wrote
}

// read reads the meter. Afterwards says that what was measured is over: the CPU is read
// first then, and last otherwise, so that the reading is not a part of it.
func (d *database) read(ctx context.Context, afterwards bool) (meter, error) {
	var m meter
	if afterwards {
		own := ownCPU() // before this process goes through the others
		m.cpu = d.cpu(own)
	}
	var written string
	err := d.admin.QueryRow(ctx, "SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint, pg_snapshot_xmax(pg_current_snapshot())::text").
		Scan(&m.wal, &written)
	if err != nil {
		return m, fmt.Errorf("read the server's meters: %w", err)
	}
	if m.written, err = strconv.ParseInt(written, 10, 64); err != nil {
		return m, fmt.Errorf("read the server's meters: %w", err)
	}
	if !afterwards {
		m.cpu = d.cpu(0) + int64(ownCPU())
	}
	return m, nil
}

// cpu returns the server's CPU time and own, in nanoseconds; 0 where it is not known.
func (d *database) cpu(own time.Duration) int64 {
	server, ok := serverCPU(d.server.PID())
	if !ok {
		return 0
	}
	return int64(server + own)
}
