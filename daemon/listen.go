package daemon

import (
	"context"
	"errors"
	"fmt"

	"github.com/bbmd-dev/bbmd/internal/config"
	"github.com/bbmd-dev/bbmd/internal/control"
	"github.com/bbmd-dev/bbmd/notify"
)

// errRotated ends a listener whose connection string is not the one any more that
// the configuration leads to.
var errRotated = errors.New("the connection string has changed")

// errNotYet is what a listener's readiness says before its first connection.
var errNotYet = errors.New("not listening yet")

// listen delivers events until ctx ends. A listener keeps its connection string,
// so that a rotated one gets a new listener when the old one loses its connection.
func (d *database) listen(ctx context.Context) error {
	attempts := newAttempts(d.options.longestRetry)
	for ctx.Err() == nil {
		err := d.listenOnce(ctx)
		if errors.Is(err, errRotated) {
			d.log.InfoContext(ctx, "connection string has changed")
			attempts = newAttempts(d.options.longestRetry)
			continue
		}
		if ctx.Err() == nil {
			d.listening.Set(err)
			wait := attempts.next()
			d.log.WarnContext(ctx, "not listening for events", "error", err, "retry_in", wait)
			pause(ctx, wait)
		}
	}
	return context.Cause(ctx)
}

func (d *database) listenOnce(ctx context.Context) error {
	url, err := d.config.ListenConnString()
	if err != nil {
		return fmt.Errorf("listener: %w", err)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	source, err := d.newSource(url, func(s notify.State) {
		d.listenerChanged(s)
		if now, err := d.config.ListenConnString(); !s.Connected && err == nil && now != url {
			cancel(errRotated)
		}
	})
	if err != nil {
		return err
	}
	return source.Run(ctx, d.deliver)
}

// newSource returns the source of events that is configured.
func (d *database) newSource(url string, onChange func(notify.State)) (notify.Source, error) {
	if d.events == config.EventsWAL {
		return d.newStream(url, onChange)
	}
	return notify.NewListener(notify.ListenerConfig{
		URL:          url,
		Logger:       d.log,
		PingInterval: d.options.pingInterval,
		RetryMax:     d.options.longestRetry,
		OnChange:     onChange,
		Accept:       d.dialer.Admit,
	})
}

// newStream returns a stream, which is asked at a scrape how far it is behind.
func (d *database) newStream(url string, onChange func(notify.State)) (notify.Source, error) {
	stream, err := notify.NewStream(notify.StreamConfig{
		URL:           url,
		ControlSchema: d.schema,
		Logger:        d.log,
		PingInterval:  d.options.pingInterval,
		RetryMax:      d.options.longestRetry,
		OnChange:      onChange,
		Accept:        d.dialer.Admit,
	})
	if err != nil {
		return nil, err
	}
	d.metrics.Stream(func() (behind uint64, connected bool) {
		s := stream.State()
		return s.Behind, s.Connected
	})
	return stream, nil
}

// deliver wakes the executor in the goroutine that has read the event.
func (d *database) deliver(event notify.Event) {
	d.tell(event.Channel)
	switch event.Channel {
	case notify.ChannelNew:
		d.executor.Load().Wake()
		if event.Payload == reloadHint {
			d.works.asked.Set()
		}
		d.metrics.Event(event.Channel)
	case notify.ChannelStatus: // of a migration, or of somebody's run on the schema
		if event.Payload == control.InstalledHint {
			d.recheck.Set()
		}
		d.executor.Load().Wake()
		d.bringup.heard(event.Channel)
		d.room.tell()
		d.metrics.Event(event.Channel)
	case notify.ChannelForceRecreate:
		d.bringup.heard(event.Channel)
		d.metrics.Event(event.Channel)
	case "": // a resync: anything may have happened
		d.executor.Load().Wake()
		d.bringup.heard(event.Channel)
		d.room.tell()
		if d.resynced { // the first follows the installation
			d.recheck.Set()
		}
		d.resynced = true
	default: // for others
		d.metrics.Event(event.Channel)
	}
}

func (d *database) listenerChanged(s notify.State) {
	defer d.tell("")
	d.metrics.ListenerConnected(s.Connected)
	if s.Connected {
		d.outage.over()
	} else {
		d.outage.begin()
	}
	switch {
	case s.Connected:
		d.listening.Set(nil)
		if s.Reconnects() > 0 {
			d.metrics.ListenerReconnected()
		}
	case s.Err != nil:
		d.listening.Set(s.Err)
	default:
		d.listening.Set(errNotYet)
	}
}
