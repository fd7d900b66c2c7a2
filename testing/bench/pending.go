package bench

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/pressly/goose/v3"

	"github.com/bbmd-dev/bbmd/internal/pgserver"
)

// pendingTarget is what bbmd may take for pending migrations, relative to goose and golang-migrate.
const pendingTarget = 1.25

// newProject writes migrations that make one table each.
func newProject(migrations int) (p *project, err error) {
	p = new(project)
	if p.dir, err = os.MkdirTemp("", "bbmd-bench-"); err != nil {
		return nil, fmt.Errorf("write migrations: %w", err)
	}
	if p.pair, err = os.MkdirTemp("", "bbmd-bench-"); err != nil {
		return nil, errors.Join(fmt.Errorf("write migrations: %w", err), p.remove())
	}
	for i := range migrations {
		up, down := fmt.Sprintf("CREATE TABLE t%d (id bigint PRIMARY KEY, a text);\n", i), fmt.Sprintf("DROP TABLE t%d;\n", i)
		for path, text := range map[string]string{
			filepath.Join(p.dir, fmt.Sprintf("%05d_table.sql", i+1)):       "-- +goose Up\n" + up + "\n-- +goose Down\n" + down,
			filepath.Join(p.pair, fmt.Sprintf("%05d_table.up.sql", i+1)):   up,
			filepath.Join(p.pair, fmt.Sprintf("%05d_table.down.sql", i+1)): down,
		} {
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				return nil, errors.Join(fmt.Errorf("write migrations: %w", err), p.remove())
			}
		}
	}
	return p, nil
}

func (p *project) remove() error { return errors.Join(os.RemoveAll(p.dir), os.RemoveAll(p.pair)) }

// pairUp has golang-migrate bring a database up.
func (p *project) pairUp(peer *peer, url string) func(context.Context) (time.Duration, error) {
	return func(ctx context.Context) (time.Duration, error) {
		a, err := peer.ask(ctx, peerRequest{Do: "up", Dir: p.pair, URL: url})
		return a.Took, err
	}
}

// up is goose's.
func (p project) up(ctx context.Context) (err error) {
	db, err := sql.Open("pgx", p.url)
	if err != nil {
		return fmt.Errorf("goose up: %w", err)
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	provider, err := goose.NewProvider(goose.DialectPostgres, db, os.DirFS(p.dir))
	if err != nil {
		return fmt.Errorf("goose up: %w", err)
	}
	if _, err := provider.Up(ctx); err != nil {
		return fmt.Errorf("goose up: %w", err)
	}
	return nil
}

// measurePending measures how long each takes for migrations that are all pending, on a database
// that is made for it and goes away afterwards.
func (r *Report) measurePending(ctx context.Context, server *pgserver.Server, peer *peer, o Options) (err error) {
	n := o.sizes().pending
	p, err := newProject(n.migrations)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.remove()) }()
	runs := []func(p project) (time.Duration, error){
		func(p project) (time.Duration, error) { return timed(p.migrate)(ctx) },
		func(p project) (time.Duration, error) { return timed(p.up)(ctx) },
		func(p project) (time.Duration, error) { return timed(p.up)(ctx) },
	}
	if peer != nil {
		runs = append(runs, func(p project) (time.Duration, error) { return p.pairUp(peer, p.url)(ctx) })
	}
	took := make([][]float64, len(runs))
	for round := range n.rounds {
		for _, i := range shuffled(len(runs)) {
			elapsed, err := p.pending(ctx, server, fmt.Sprintf("pending_%d_%d", round, i), n.migrations, runs[i])
			if err != nil {
				return err
			}
			took[i] = append(took[i], float64(elapsed.Microseconds()))
		}
		o.Logger.InfoContext(ctx, "measured", "case", "pending migrations", "rounds", round+1, "of", n.rounds)
	}
	what := fmt.Sprintf("%d pending migrations, each a table; beside Up of ", n.migrations)
	r.addStartUp(what+"goose", briefPending, pendingTarget, took[0], took[1:3]...)
	if peer != nil {
		r.addStartUp(what+peer.name, briefPending, pendingTarget, took[0], took[3])
	}
	return nil
}

// pending runs one of them on a new database, and checks that every table is there.
func (p project) pending(ctx context.Context, server *pgserver.Server, name string, migrations int, run func(project) (time.Duration, error)) (elapsed time.Duration, err error) {
	root, err := pgx.Connect(ctx, server.URL("postgres"))
	if err != nil {
		return 0, fmt.Errorf("make database %s: %w", name, err)
	}
	defer closeConn(ctx, root)
	quoted := pgx.Identifier{name}.Sanitize()
	if _, err := root.Exec(ctx, "CREATE DATABASE "+quoted); err != nil {
		return 0, fmt.Errorf("make database %s: %w", name, err)
	}
	if _, err := root.Exec(ctx, "CHECKPOINT"); err != nil {
		return 0, fmt.Errorf("checkpoint: %w", err)
	}
	p.url = server.URL(name)
	if elapsed, err = run(p); err != nil {
		return 0, err
	}
	if err := p.checkTables(ctx, migrations); err != nil {
		return 0, err
	}
	if _, err := root.Exec(ctx, "DROP DATABASE "+quoted+" WITH (FORCE)"); err != nil {
		return 0, fmt.Errorf("drop database %s: %w", name, err)
	}
	return elapsed, nil
}

func (p project) checkTables(ctx context.Context, migrations int) error {
	conn, err := pgx.Connect(ctx, p.url)
	if err != nil {
		return fmt.Errorf("look at the tables: %w", err)
	}
	defer closeConn(ctx, conn)
	var tables int
	if err := conn.QueryRow(ctx, `SELECT count(*) FROM pg_tables WHERE schemaname = 'public' AND tablename ~ '^t\d+$'`).Scan(&tables); err != nil {
		return fmt.Errorf("look at the tables: %w", err)
	}
	if tables != migrations {
		return fmt.Errorf("there are %d tables of %d", tables, migrations)
	}
	return nil
}
