package notify

import "context"

// Channel names. See docs for who raises each.
const (
	ChannelNew           = "bbm_new"            // new work may exist
	ChannelStatus        = "bbm_status"         // a migration's status or a knob of it changed
	ChannelForceRecreate = "bbm_force_recreate" // drop and recreate this database (development only)
	ChannelProgress      = "bbm_progress"       // an executor's progress, for people watching
)

// Event says that something changed, or (Resync) that anything may have.
type Event struct {
	// Channel is one of the Channel constants, or empty for a resync: the source has just
	// (re)connected, and whatever happened before is to be found by a full scan.
	Channel string
	// Payload as the sender gave it: a hint, never trusted.
	Payload string
}

// Source is where events come from.
//
// Run blocks until ctx ends and returns its cause. On every (re)connect it first
// subscribes, waits until the subscription is in force, then delivers one
// resync event, then events as they arrive. deliver is called from one
// goroutine and must not block.
type Source interface {
	Run(ctx context.Context, deliver func(Event)) error
}
