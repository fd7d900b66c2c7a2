package daemon_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/bbmd-dev/bbmd/daemon"
)

// A service looks, when it starts, whether its database is where its code needs it.
// What brings it there is somebody else's business: `bbmd migrate`, or a daemon.
func ExampleVerify() {
	ctx := context.Background()
	schema := daemon.DefaultSchema()
	schema.Migrations = "testdata/migrations" // the same files that the database is migrated with
	cfg := daemon.DefaultConfig()
	cfg.Databases["shop"] = daemon.Database{Schema: schema}

	pool, err := pgxpool.New(ctx, "postgres://shop@db.invalid/shop")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer pool.Close()

	err = daemon.Verify(ctx, pool, cfg)
	pending, isPending := errors.AsType[*daemon.PendingError](err)
	refused, isRefused := errors.AsType[*daemon.RefusalError](err)
	switch {
	case err == nil:
		fmt.Println("start serving")
	case isPending:
		fmt.Println("wait for", pending.Pending)
	case isRefused:
		fmt.Println("somebody has to look:", refused.WayOut)
	default: // here there is no such host
		fmt.Println("the database does not answer: try again")
	}
	// Output: the database does not answer: try again
}
