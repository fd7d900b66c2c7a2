package notify

import "context"

// Channel names.
const (
	// ChannelNew says that new work may exist: raised by the trigger on INSERT
	// into the migrations table, and by anyone's `NOTIFY bbm_new`.
	ChannelNew = "bbm_new"
	// ChannelStatus says that a migration's status or one of its knobs changed.
	ChannelStatus = "bbm_status"
	// ChannelForceRecreate says that this database is to be dropped and created
	// anew (development only).
	ChannelForceRecreate = "bbm_force_recreate"
	// ChannelProgress says that an executor got on, for people who watch.
	ChannelProgress = "bbm_progress"
)

// Channels returns the names of all channels, in a fresh slice.
func Channels() []string {
	return []string{ChannelNew, ChannelStatus, ChannelForceRecreate, ChannelProgress}
}

// Event says that something changed, or (a resync) that anything may have.
type Event struct {
	// Channel is one of the Channel constants, or empty for a resync: the source
	// has just (re)connected, and whatever happened before is to be found by a
	// full scan.
	Channel string
	// Payload as the sender gave it: a hint, never trusted. Anybody who may
	// connect to the database may send anything, up to 8000 bytes.
	Payload string
}

// Resync reports whether the event stands for everything that may have happened
// while nobody listened.
func (e Event) Resync() bool { return e.Channel == "" }

// Source is where events come from.
//
// Run blocks until ctx ends and returns its cause. On every (re)connect it first
// subscribes, waits until the subscription is in force, then delivers one
// resync event, then events as they arrive, in the order in which their
// transactions committed. A lost connection does not end it.
//
// deliver is called from one goroutine at a time and never after Run returned.
// It must not block: a receiver that does holds back the server's notification
// queue. [Flag] is what most receivers want.
//
// A Source may be run again after Run returned, not twice at the same time.
type Source interface {
	Run(ctx context.Context, deliver func(Event)) error
}

// known returns the event of a notification, and whether its channel is ours.
// The name comes from our constants, so an event holds on to nothing foreign but
// its payload.
func known(channel, payload string) (Event, bool) {
	switch channel {
	case ChannelNew:
		return Event{Channel: ChannelNew, Payload: payload}, true
	case ChannelStatus:
		return Event{Channel: ChannelStatus, Payload: payload}, true
	case ChannelForceRecreate:
		return Event{Channel: ChannelForceRecreate, Payload: payload}, true
	case ChannelProgress:
		return Event{Channel: ChannelProgress, Payload: payload}, true
	default:
		return Event{}, false
	}
}
