package main

import (
	"context"
	"errors"

	"github.com/bbmd-dev/bbmd/notify"
)

// checkStream finds out whether events can be read from the write-ahead log, where that is
// configured. It makes no publication and no slot.
func checkStream(ctx context.Context, p *patient) (string, error) {
	url, err := p.config.Databases[p.name].ListenConnString()
	if err != nil {
		return "", err
	}
	stream, err := notify.NewStream(notify.StreamConfig{URL: url, ControlSchema: p.config.ControlSchema})
	if err != nil {
		return "", err
	}
	switch err := stream.Check(ctx); {
	case err == nil:
		return "changes of " + p.config.ControlSchema + " can be read from the write-ahead log", nil
	case !p.installed(ctx):
		return "", warn("not known: there is no control schema yet", "what is to be streamed is not there", "run `bbmd init-control`, then ask again")
	case errors.Is(err, notify.ErrCannotStream):
		return "", fail(err.Error(), noEvents, "do what it says, or set events: notify")
	default:
		return "", fail(err.Error(), noEvents, "give a listen_url that leads to PostgreSQL directly")
	}
}
