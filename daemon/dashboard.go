package daemon

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/bbmd-dev/bbmd/internal/config"
	"github.com/bbmd-dev/bbmd/internal/control"
	"github.com/bbmd-dev/bbmd/internal/dashboard"
	"github.com/bbmd-dev/bbmd/internal/initialize"
	"github.com/bbmd-dev/bbmd/internal/throttle"
	"github.com/bbmd-dev/bbmd/notify"
	"github.com/bbmd-dev/bbmd/plugins"
)

// addDashboard makes the dashboard, where one is configured.
func (d *Daemon) addDashboard(cfg Config) error {
	if cfg.Dashboard.Listen == "" {
		return nil
	}
	options := dashboard.Options{
		Listen:     cfg.Dashboard.Listen,
		Hosts:      cfg.Dashboard.Hosts.Names(),
		PublicRead: cfg.Dashboard.PublicRead,
		Works:      func() []dashboard.Work { return worksShown(d.works.Snapshot()) },
		Plugins:    func() []dashboard.Plugin { return pluginsShown(d.works.Snapshot()) },
		Version:    d.options.version,
		Logger:     d.logger,
		Redact:     config.Redact,
	}
	if cfg.Dashboard.HasToken() {
		options.Token = cfg.Dashboard.AccessToken
	}
	d.finalizers = newFinalizers(cfg, d.options)
	for _, db := range d.databases {
		options.Databases = append(options.Databases, db.shown(cfg, d.finalizers))
	}
	server, err := dashboard.New(options)
	if err != nil {
		return fmt.Errorf("dashboard: %w", err)
	}
	d.dashboard = server
	for _, db := range d.databases {
		db.dashboard = server
		db.bringup.changed = func() { server.Changed(db.name) }
	}
	return nil
}

// DashboardAddr returns the address of the dashboard, or nil before
// [Daemon.Listen] and where none is configured.
func (d *Daemon) DashboardAddr() net.Addr {
	if d.dashboard == nil {
		return nil
	}
	return d.dashboard.Addr()
}

// serveDashboard serves it until ctx ends, and waits for what was begun through it.
func (d *Daemon) serveDashboard(ctx context.Context) error {
	d.finalizers.begin(ctx)
	defer d.finalizers.wait()
	return d.dashboard.Run(ctx)
}

// shown returns the database as the dashboard knows it.
func (d *database) shown(cfg Config, f *finalizers) dashboard.Database {
	shown := dashboard.Database{
		Name:   d.name,
		Store:  control.NewStore(d.schema),
		DB:     d.shared,
		Checks: d.checksShown,
		CheckThrottle: func(raw json.RawMessage) error {
			_, err := throttle.Default().With(raw)
			return err
		},
		Finalize: func(migration string) error { return f.start(d.name, migration) },
	}
	if d.config.Schema.Configured() {
		shown.Schema = func(ctx context.Context) dashboard.Schema {
			return schemaShown(initialize.Inspect(ctx, d.bringup.spec(cfg)))
		}
	}
	return shown
}

// shared returns the pool of the control schema, or nil while there is none.
func (d *database) shared() control.TxDB {
	if pool := d.pool.Load(); pool != nil {
		return pool
	}
	return nil
}

func (d *database) checksShown(ctx context.Context) []dashboard.Check {
	checks := d.ready()
	shown := make([]dashboard.Check, 0, len(checks))
	for _, check := range checks {
		one := dashboard.Check{Name: strings.TrimSuffix(check.Name(), "/"+d.name)}
		if err := check.Check(ctx); err != nil {
			one.Error = config.Redact(err.Error())
		}
		shown = append(shown, one)
	}
	return shown
}

// tell says to those who look at the dashboard what has changed: no more than
// progress, or anything.
func (d *database) tell(channel string) {
	switch {
	case d.dashboard == nil:
	case channel == notify.ChannelProgress:
		d.dashboard.Progressed(d.name)
	default:
		d.dashboard.Changed(d.name)
	}
}

func schemaShown(f initialize.Finding, err error) dashboard.Schema {
	if err != nil {
		return dashboard.Schema{Configured: true, Error: config.Redact(err.Error())}
	}
	shown := dashboard.Schema{
		Configured: true, State: string(f.State), Tool: string(f.Tool), Current: f.Current, UpToDate: f.UpToDate(), Stop: config.Redact(f.Plan.Stop),
	}
	for _, step := range f.Pending {
		shown.Pending = append(shown.Pending, step.Version)
	}
	return shown
}

func worksShown(s *plugins.Snapshot) []dashboard.Work {
	var all []dashboard.Work
	for _, p := range s.Plugins() {
		if !p.Usable {
			continue
		}
		for _, work := range p.Works {
			one := dashboard.Work{
				Name: work.Name, Version: work.Version, Summary: work.Summary, Kind: string(p.Origin.Kind),
				Arguments: []dashboard.Argument{},
				Validate:  func(raw json.RawMessage) error { return work.ValidateArguments(raw) },
			}
			for _, a := range work.Describe() {
				one.Arguments = append(one.Arguments, dashboard.Argument(a))
			}
			all = append(all, one)
		}
	}
	return all
}

func pluginsShown(s *plugins.Snapshot) []dashboard.Plugin {
	var all []dashboard.Plugin
	for _, p := range s.Plugins() {
		if p.Origin.Kind == plugins.KindCompiled {
			continue
		}
		one := dashboard.Plugin{
			Name: p.Name, Kind: string(p.Origin.Kind), Path: p.Origin.Path, Digest: p.Origin.Digest,
			State: string(p.State), Reason: config.Redact(p.Reason), Usable: p.Usable, Works: []string{},
		}
		for _, work := range p.Works {
			one.Works = append(one.Works, work.Name)
		}
		all = append(all, one)
	}
	return all
}

// errStopping refuses what could not be finished any more.
var errStopping = errors.New("bbmd is stopping")
