package daemon

import (
	"context"
	"errors"
	"fmt"
	"sync"
)

// mostFinalizers is how many migrations may run without throttle at a time
// because somebody asked for it through the dashboard.
const mostFinalizers = 4

// finalizers run the rest of migrations without throttle, beside the executors.
type finalizers struct {
	config  Config
	options options

	mu      sync.Mutex
	ctx     context.Context // nil: not begun, or over
	names   map[string]bool // database and migration
	running sync.WaitGroup
}

func newFinalizers(cfg Config, o options) *finalizers {
	return &finalizers{config: cfg, options: o, names: map[string]bool{}}
}

// begin allows some until ctx ends.
func (f *finalizers) begin(ctx context.Context) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.ctx = ctx
}

// wait allows no more, and waits for those that run: their contexts have ended.
func (f *finalizers) wait() {
	f.mu.Lock()
	f.ctx = nil
	f.mu.Unlock()
	f.running.Wait()
}

// start begins to run the rest of a migration, and returns at once.
func (f *finalizers) start(database, migration string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	key := database + "\x00" + migration
	switch {
	case f.ctx == nil || f.ctx.Err() != nil:
		return errStopping
	case f.names[key]:
		return errors.New("it is being finalized already")
	case len(f.names) >= mostFinalizers:
		return fmt.Errorf("%d migrations are being finalized already: wait for one of them", len(f.names))
	}
	f.names[key] = true
	ctx := f.ctx
	f.running.Go(func() {
		f.finalize(ctx, database, migration)
		f.mu.Lock()
		defer f.mu.Unlock()
		delete(f.names, key)
	})
	return nil
}

func (f *finalizers) finalize(ctx context.Context, database, migration string) {
	log := f.options.logger.With("database", database, "migration", migration)
	log.InfoContext(ctx, "finalizing: the rest runs without throttle")
	p, err := Finalize(ctx, f.config, database, migration, FinalizeOptions{
		Logger: f.options.logger, Works: f.options.works, Version: f.options.version, telemetry: f.options.telemetry,
	})
	switch {
	case err == nil:
		log.InfoContext(ctx, "finalized", "status", p.Status)
	case ctx.Err() != nil:
		log.InfoContext(ctx, "not finalized: the rest goes on as usual", "reason", err)
	default:
		log.WarnContext(ctx, "not finalized", "error", err)
	}
}
