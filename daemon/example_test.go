package daemon_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"time"

	"github.com/bbmd-dev/bbmd/daemon"
	"github.com/bbmd-dev/bbmd/registry"
)

// A service runs bbmd beside its own work. The Works that ship with bbmd come with a
// blank import of github.com/bbmd-dev/bbmd/migrations; here is one of its own.
func Example() {
	works := registry.New()
	err := works.Register(registry.Work{
		Name: "normalize_email",
		SQL: func(m registry.Migration) (registry.Statement, error) {
			return registry.ParseStatement("UPDATE " + m.Table + " SET email_norm = lower(email) WHERE :range")
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}

	cfg := daemon.DefaultConfig()
	cfg.Databases["auth"] = daemon.Database{URL: "postgres://auth@db.invalid/auth"}
	cfg.HTTP.Listen = "" // the service has probes of its own
	d, err := daemon.New(cfg,
		daemon.WithWorks(works),
		daemon.WithLogger(slog.New(slog.NewJSONHandler(os.Stderr, nil))),
	)
	if err != nil {
		fmt.Println(err)
		return
	}

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	time.AfterFunc(100*time.Millisecond, stop) // here nobody presses Ctrl-C
	fmt.Println("stopped:", d.Run(ctx))        // it runs until ctx ends, whatever happens to the database
	// Output: stopped: <nil>
}
