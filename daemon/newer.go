package daemon

import (
	"context"
	"errors"

	"github.com/bbmd-dev/bbmd/internal/await"
	"github.com/bbmd-dev/bbmd/internal/initialize"
)

// acceptNewer takes the refusal to touch a database that is further than the files for what it is
// after a roll-back: nothing is to be done. As those who wait see it, a revision that the files do not know is a later one only where
// bbm.applied vouches for it.
func (o *Outcome) acceptNewer(ctx context.Context, spec initialize.Spec) {
	refusal, ok := errors.AsType[*initialize.RefusalError](o.Err)
	if !ok || refusal.Refusal != initialize.RefusedAhead && refusal.Refusal != initialize.RefusedUnknown {
		return
	}
	conn, err := spec.Connect(ctx, "bbmd/"+spec.Database+"/look", "")
	if err != nil {
		return // what was refused is the error that counts
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }() // it has only read
	target := await.Target{Spec: spec, Goals: []await.Goal{{Kind: await.Schema}}}
	if verdict, err := target.Look(ctx, conn); err == nil && verdict.Reached {
		o.Err, o.Newer = nil, true
	}
}
