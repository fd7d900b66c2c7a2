package bench

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // goose's connections
	"github.com/pressly/goose/v3"

	"github.com/bbmd-dev/bbmd/daemon"
	"github.com/bbmd-dev/bbmd/internal/pgserver"
)

// startUpTarget is what bbmd may take for a database that is up to date, relative to
// goose's own status call: each with a connection of its own, from reading the files to the answer.
const startUpTarget = 1.5

// project is a directory of goose's migrations, the same for golang-migrate, and a database.
type project struct {
	dir  string
	pair string // a directory with a file for each direction
	url  string
}

// measureStartUp measures how long it takes to find that a database is up to date, and to
// bring one up from nothing.
func (r *Report) measureStartUp(ctx context.Context, server *pgserver.Server, o Options) (err error) {
	var peer *peer
	if o.Peers != "" {
		if peer, err = startPeer(ctx, o, "golang-migrate"); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, peer.close()) }()
		r.noteSettings(peer)
	}
	r.notes = append(r.notes, "goose "+version("github.com/pressly/goose/v3")+": NewProvider on pgx's driver for database/sql, Status or Up, Close")
	for i, migrations := range o.sizes().histories {
		d, err := newDatabase(ctx, server, fmt.Sprintf("start_up_%d", i))
		if err != nil {
			return err
		}
		err = r.measureProject(ctx, d, peer, migrations, o)
		d.close(ctx)
		if err != nil {
			return err
		}
	}
	return r.measurePending(ctx, server, peer, o)
}

func (r *Report) measureProject(ctx context.Context, d *database, peer *peer, migrations int, o Options) (err error) {
	p, err := newProject(migrations)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.remove()) }()
	p.url = d.url
	if err := p.migrate(ctx); err != nil {
		return err
	}
	runs := []func(context.Context) (time.Duration, error){timed(p.migrate), timed(p.status), timed(p.status)}
	if peer != nil {
		second, err := newDatabase(ctx, d.server, d.name+"_pair")
		if err != nil {
			return err
		}
		defer second.close(ctx)
		up := p.pairUp(peer, second.url)
		if _, err := up(ctx); err != nil {
			return err
		}
		runs = append(runs, up)
	}
	took := make([][]float64, len(runs))
	for range o.sizes().startUps {
		for _, i := range shuffled(len(runs)) {
			d, err := runs[i](ctx)
			if err != nil {
				return err
			}
			took[i] = append(took[i], float64(d.Microseconds()))
		}
	}
	what, brief := fmt.Sprintf("a database with %d migrations, all applied; beside ", migrations), ""
	if histories := o.sizes().histories; migrations == histories[len(histories)-1] {
		brief = briefStartUp
	}
	r.addStartUp(what+"the status call of goose", brief, startUpTarget, took[0], took[1:3]...)
	if peer != nil {
		r.addStartUp(what+"Up of "+peer.name, brief, startUpTarget, took[0], took[3])
	}
	return nil
}

// addStartUp adds a line. floors are the measurements beside: of two the second is the control.
func (r *Report) addStartUp(what, brief string, target float64, own []float64, floors ...[]float64) {
	floor := slices.Concat(floors...)
	ratio := median(own) / median(floor)
	noise := ratio * (uncertainty(own)/median(own) + uncertainty(floor)/median(floor))
	shown := fmt.Sprintf("%.2f", ratio)
	if len(floors) > 1 {
		shown += fmt.Sprintf(" (A/A %.2f)", median(floors[0])/median(floors[1]))
	}
	r.lines = append(r.lines, line{
		section: SectionStartUp, what: what, brief: brief, value: milli(own), beside: milli(floor), ratio: shown,
		target: fmt.Sprintf("≤ %.2f", target), verdict: judgeAtMost(ratio, target, noise),
	})
}

// timed times what has no clock of its own.
func timed(run func(context.Context) error) func(context.Context) (time.Duration, error) {
	return func(ctx context.Context) (time.Duration, error) {
		began := time.Now()
		err := run(ctx)
		return time.Since(began), err
	}
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
