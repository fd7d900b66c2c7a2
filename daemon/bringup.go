package daemon

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/bbmd-dev/bbmd/internal/config"
	"github.com/bbmd-dev/bbmd/internal/dial"
	"github.com/bbmd-dev/bbmd/internal/health"
	"github.com/bbmd-dev/bbmd/internal/initialize"
	"github.com/bbmd-dev/bbmd/notify"
)

// bringup brings one database's schema up and, where the configuration asks for it,
// recreates it. It acts when the daemon starts, when the configuration was loaded
// again, and when an event says that somebody else has acted. Background migrations
// run beside it: a schema migration may wait for one.
type bringup struct {
	name    string
	options options
	log     *slog.Logger
	dialer  *dial.Dialer
	metrics *health.DatabaseMetrics
	up      *health.Condition // what readiness says about the schema
	wake    *notify.Flag      // look again
	changed func()            // what readiness says may be different; nil: nobody is told

	mu     sync.Mutex
	config Config
	insist bool // the configuration was loaded again: try, whatever was found
	called bool // somebody says that a recreation is asked for

	// What follows belongs to the goroutine of Run.
	done    bool // the schema is where it should be
	failed  *failedAttempt
	settled *config.Token // the value of force_recreate that was dealt with; nil: none was
	told    string        // the last problem that was logged
	refused string        // why the last recreation was refused
	soon    *attempts     // waits for what passes by itself
	later   *attempts     // waits for what somebody has to mend
}

// longestLook bounds the waits between looks at a schema that somebody has to mend,
// and who may do so with a tool that raises no event.
const longestLook = time.Minute

func newBringup(name string, cfg Config, o options, dialer *dial.Dialer, metrics *health.DatabaseMetrics) *bringup {
	return &bringup{
		name: name, options: o, log: o.logger.With("database", name), dialer: dialer, metrics: metrics, config: cfg,
		up: health.NewCondition("schema/" + name), wake: notify.NewFlag(),
		soon: newAttempts(o.longestRetry), later: newAttempts(longestLook),
	}
}

// configure makes cfg the configuration in force, and tries again what it asks for.
func (b *bringup) configure(cfg Config) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.config, b.insist = cfg, true
	b.wake.Set()
}

// heard takes note of an event.
func (b *bringup) heard(channel string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.called = b.called || channel == notify.ChannelForceRecreate
	b.wake.Set()
}

// asked returns the configuration in force, and why it is to be looked at.
func (b *bringup) asked() (cfg Config, insist, called bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	cfg, insist, called = b.config, b.insist, b.called
	b.insist, b.called = false, false
	return cfg, insist, called
}

// Run keeps the schema where the configuration wants it, until ctx ends.
func (b *bringup) Run(ctx context.Context) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-timer.C:
		case <-b.wake.Wait():
		}
		timer.Stop()
		if again, needed := b.once(ctx); needed {
			timer.Reset(again)
		}
	}
}

// once does what is to be done now, and returns when to look again by itself, if at all.
func (b *bringup) once(ctx context.Context) (again time.Duration, needed bool) {
	cfg, insist, called := b.asked()
	if insist || called {
		b.soon, b.later = newAttempts(b.options.longestRetry), newAttempts(longestLook)
	}
	err := b.recreate(ctx, cfg, called)
	if err == nil && (insist || !b.done) {
		err = b.bringUp(ctx, cfg, insist)
	}
	if ctx.Err() != nil {
		return 0, false
	}
	b.done = err == nil
	b.up.Set(err)
	if b.changed != nil {
		b.changed()
	}
	b.metrics.SchemaUp(b.done)
	if err == nil {
		b.failed, b.told = nil, ""
		return 0, false
	}
	b.tell(ctx, err)
	switch initialize.KindOf(err) {
	case initialize.KindTransient, initialize.KindUnreachable:
		return b.soon.next(), true
	default:
		return b.later.next() + b.options.longestRetry, true
	}
}

// tell logs a problem, once.
func (b *bringup) tell(ctx context.Context, err error) {
	if text := err.Error(); text != b.told {
		b.told = text
		b.log.WarnContext(ctx, "schema not up", "error", err)
	}
}

// bringUp does what is to be done about the schema at the start.
func (b *bringup) bringUp(ctx context.Context, cfg Config, insist bool) error {
	spec := b.spec(cfg)
	switch cfg.Databases[b.name].Schema.Start() {
	case config.OnStartVerify:
		return verify(ctx, cfg, spec)
	case config.OnStartMigrate:
		return b.migrate(ctx, spec, insist)
	default:
		return nil
	}
}
