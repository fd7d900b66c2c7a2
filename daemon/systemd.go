package daemon

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	systemd "github.com/coreos/go-systemd/v22/daemon"

	"github.com/bbmd-dev/bbmd/internal/config"
)

// statusEvery is how often systemd's status line may change.
const statusEvery = 5 * time.Second

// superviseBySystemd tells systemd that the daemon runs, that it lives, how it is, and that it
// stops. It only waits where systemd did not ask (NOTIFY_SOCKET).
func (d *Daemon) superviseBySystemd(ctx context.Context) error {
	d.tellSystemd(ctx, systemd.SdNotifyReady)
	defer d.tellSystemd(ctx, systemd.SdNotifyStopping+"\nSTATUS=stopping: running batches may finish")
	watchdog, err := systemd.SdWatchdogEnabled(false)
	if err != nil {
		d.logger.WarnContext(ctx, "systemd's watchdog cannot be served", "error", err)
	}
	if !d.options.process || os.Getenv("NOTIFY_SOCKET") == "" {
		<-ctx.Done()
		return context.Cause(ctx)
	}
	every := statusEvery
	if watchdog > 0 {
		every = min(every, watchdog/2)
	}
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for status := ""; ; {
		if watchdog > 0 && d.alive() {
			d.tellSystemd(ctx, systemd.SdNotifyWatchdog)
		}
		if now := d.statusLine(ctx); now != status {
			status = now
			d.tellSystemd(ctx, "STATUS="+status)
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-ticker.C:
		}
	}
}

// statusLine says how the daemon is, on one line, from what is known.
func (d *Daemon) statusLine(ctx context.Context) string {
	const longest = 200
	if err := d.health.Ready(ctx); err != nil {
		text := "not ready: " + strings.Join(strings.Fields(config.Redact(err.Error())), " ")
		return strings.ToValidUTF8(text[:min(longest, len(text))], "")
	}
	if len(d.databases) == 1 {
		return "ready: database " + d.databases[0].name
	}
	return fmt.Sprintf("ready: %d databases", len(d.databases))
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
