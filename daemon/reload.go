package daemon

import (
	"context"
	"os"
	"os/signal"
	"strings"
	"syscall"

	systemd "github.com/coreos/go-systemd/v22/daemon"

	"github.com/bbmd-dev/bbmd/internal/config"
	"github.com/bbmd-dev/bbmd/internal/control"
	"github.com/bbmd-dev/bbmd/internal/executor"
	"github.com/bbmd-dev/bbmd/internal/throttle"
)

// watchConfig returns what loads the configuration again when its file changes, and
// on SIGHUP, which is caught from now on until release is called.
func (d *Daemon) watchConfig(ctx context.Context) (watch func(context.Context) error, release func()) {
	watcher := config.NewWatcher(d.current, *d.options.sources, config.WatcherOptions{OnChange: d.reloaded, OnError: d.notReloaded})
	if !d.options.process {
		return watcher.Run, func() {}
	}
	return watcher.Run, onSIGHUP(func() {
		d.tellSystemd(ctx, systemd.SdNotifyReloading)
		watcher.Reload()
	})
}

// onSIGHUP calls fn at every SIGHUP until stop is called, which waits for fn.
func onSIGHUP(fn func()) (stop func()) {
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range hangups {
			fn()
		}
	}()
	return func() {
		signal.Stop(hangups)
		close(hangups)
		<-done
	}
}

// reloaded applies what can change while the daemon runs, and says what cannot.
func (d *Daemon) reloaded(ctx context.Context, next config.Config) {
	if err := checkThrottle(next); err != nil {
		d.notReloaded(ctx, err)
		return
	}
	changes := config.Live(d.current, next)
	d.current = changes.Applied
	d.options.level.Set(d.current.Log.Level)
	for _, db := range d.databases {
		db.configure(settingsOf(d.current))
		db.bringup.configure(d.current)
	}
	d.works.load(ctx, d.logger) // SIGHUP is for plugins that have crashed, too
	d.logger.InfoContext(ctx, "configuration reloaded", "changed", changes.Live)
	if len(changes.Restart) > 0 {
		d.logger.WarnContext(ctx, "keys of the configuration changed that take effect with the next start", "keys", changes.Restart)
	}
	d.metrics.ConfigReloaded(true)
	d.tellSystemd(ctx, systemd.SdNotifyReady)
}

func (d *Daemon) notReloaded(ctx context.Context, err error) {
	d.logger.ErrorContext(ctx, "configuration not reloaded", "error", err)
	d.metrics.ConfigReloaded(false)
	d.tellSystemd(ctx, systemd.SdNotifyReady)
}

// offReason is what migrations say that wait for the switch.
const offReason = control.ReasonOff + ": set background_migrations.enabled (BBM_ENABLED) of the daemon to true, or bbmd finalize runs one now"

func settingsOf(cfg config.Config) executor.Settings {
	b := cfg.BackgroundMigrations
	return executor.Settings{
		Enabled:           b.Enabled,
		OffReason:         offReason,
		Workers:           b.Workers,
		SynchronousCommit: b.SynchronousCommit,
		MaxAttempts:       b.MaxAttempts,
		TargetDuration:    b.TargetDuration,
		Throttle:          throttleOf(cfg),
		TakeoverInterval:  b.TakeoverInterval,
		StatementTimeout:  b.StatementTimeout,
		LockTimeout:       b.LockTimeout,
		ShutdownGrace:     cfg.ShutdownGrace,
	}
}

// throttleOf returns the throttle that a valid configuration asks for.
func throttleOf(cfg config.Config) *throttle.Config {
	c, err := throttle.Default().With([]byte(cfg.BackgroundMigrations.Throttle))
	if err != nil {
		return nil
	}
	return &c
}

// checkThrottle returns what is wrong with the configuration's throttle.
func checkThrottle(cfg config.Config) error {
	_, err := throttle.Default().With([]byte(cfg.BackgroundMigrations.Throttle))
	if err != nil {
		return &config.KeyError{Key: "background_migrations.throttle", Reason: strings.ReplaceAll(err.Error(), "\n", "; "), Hint: "see docs/throttling.md for its keys"}
	}
	return nil
}
