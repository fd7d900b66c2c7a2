package bench

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // goose's connections
	"github.com/pressly/goose/v3"

	"github.com/bbmd-dev/bbmd/daemon"
	"github.com/bbmd-dev/bbmd/internal/pgserver"
)

// startUpTarget is what bbmd may take for a database that is up to date, relative to
// goose's own status call: each with a connection of its own, from reading the files to the answer.
const startUpTarget = 1.5

// project is a directory of goose's migrations and a database that has them all.
type project struct {
	dir string
	url string
}

// measureStartUp measures how long it takes to find that a database is up to date.
func (r *Report) measureStartUp(ctx context.Context, server *pgserver.Server, o Options) (err error) {
	for i, migrations := range o.sizes().histories {
		d, err := newDatabase(ctx, server, fmt.Sprintf("start_up_%d", i))
		if err != nil {
			return err
		}
		err = r.measureProject(ctx, d, migrations, o.sizes().startUps)
		d.close(ctx)
		if err != nil {
			return err
		}
	}
	return nil
}

func (r *Report) measureProject(ctx context.Context, d *database, migrations, tries int) (err error) {
	dir, err := os.MkdirTemp("", "bbmd-bench-")
	if err != nil {
		return fmt.Errorf("write migrations: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	for i := range migrations {
		text := fmt.Sprintf("-- +goose Up\nCREATE TABLE t%d (id bigint PRIMARY KEY, a text);\n\n-- +goose Down\nDROP TABLE t%[1]d;\n", i)
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("%05d_table.sql", i+1)), []byte(text), 0o600); err != nil {
			return fmt.Errorf("write migrations: %w", err)
		}
	}
	p := project{dir: dir, url: d.url}
	if err := p.migrate(ctx); err != nil {
		return err
	}
	var base, again, own []float64
	for range tries {
		for _, i := range shuffled(3) {
			to, run := &own, p.migrate
			switch i {
			case 1:
				to, run = &base, p.status
			case 2:
				to, run = &again, p.status
			}
			began := time.Now()
			if err := run(ctx); err != nil {
				return err
			}
			*to = append(*to, float64(time.Since(began).Microseconds()))
		}
	}
	r.addStartUp(migrations, base, again, own)
	return nil
}

func (r *Report) addStartUp(migrations int, base, again, own []float64) {
	floor := append(append([]float64{}, base...), again...)
	ratio, control := median(own)/median(floor), median(base)/median(again)
	noise := ratio * (uncertainty(own)/median(own) + uncertainty(floor)/median(floor))
	r.lines = append(r.lines, line{
		section: SectionStartUp,
		what:    fmt.Sprintf("a database with %d migrations, all applied; beside the status call of goose", migrations),
		value:   spread(own), beside: spread(floor), ratio: fmt.Sprintf("%.2f (A/A %.2f)", ratio, control),
		target: fmt.Sprintf("≤ %.2f", startUpTarget), verdict: judgeAtMost(ratio, startUpTarget, noise),
	})
}

// migrate is `bbmd migrate` without its process.
func (p project) migrate(ctx context.Context) error {
	cfg, schema := daemon.DefaultConfig(), daemon.DefaultSchema()
	schema.Migrations = p.dir
	cfg.Databases["bench"] = daemon.Database{URL: daemon.URL(p.url), Schema: schema}
	outcomes, err := daemon.Migrate(ctx, cfg, daemon.SchemaOptions{})
	for _, o := range outcomes {
		err = errors.Join(err, o.Err)
	}
	if err != nil {
		return fmt.Errorf("bbmd migrate: %w", err)
	}
	return nil
}

// status asks goose what is applied.
func (p project) status(ctx context.Context) (err error) {
	db, err := sql.Open("pgx", p.url)
	if err != nil {
		return fmt.Errorf("goose status: %w", err)
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	provider, err := goose.NewProvider(goose.DialectPostgres, db, os.DirFS(p.dir))
	if err != nil {
		return fmt.Errorf("goose status: %w", err)
	}
	status, err := provider.Status(ctx)
	if err != nil {
		return fmt.Errorf("goose status: %w", err)
	}
	for _, s := range status {
		if s.State != goose.StateApplied {
			return fmt.Errorf("goose status: %s is %s", s.Source.Path, s.State)
		}
	}
	return nil
}
