package daemon

import (
	"context"
	"time"

	systemd "github.com/coreos/go-systemd/v22/daemon"
)

// superviseBySystemd tells systemd that the daemon runs, that it lives, and that it
// stops. It only waits where systemd did not ask (NOTIFY_SOCKET).
func (d *Daemon) superviseBySystemd(ctx context.Context) error {
	d.tellSystemd(ctx, systemd.SdNotifyReady)
	defer d.tellSystemd(ctx, systemd.SdNotifyStopping)
	interval, err := systemd.SdWatchdogEnabled(false)
	if err != nil {
		d.logger.WarnContext(ctx, "systemd's watchdog cannot be served", "error", err)
	}
	if interval <= 0 {
		<-ctx.Done()
		return context.Cause(ctx)
	}
	ticker := time.NewTicker(interval / 2)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-ticker.C:
		}
		if d.alive() {
			d.tellSystemd(ctx, systemd.SdNotifyWatchdog)
		}
	}
}

// tellSystemd sends a state to whoever started the process, if it listens.
func (d *Daemon) tellSystemd(ctx context.Context, state string) {
	if !d.options.process {
		return
	}
	if _, err := systemd.SdNotify(false, state); err != nil {
		d.logger.DebugContext(ctx, "systemd not told", "state", state, "error", err)
	}
}

// alive reports whether every event loop responds.
func (d *Daemon) alive() bool {
	for _, db := range d.databases {
		if db.stuck() != nil {
			return false
		}
	}
	return true
}
