package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/spf13/cobra"

	"github.com/bbmd-dev/bbmd/internal/config"
	"github.com/bbmd-dev/bbmd/internal/control"
	"github.com/bbmd-dev/bbmd/internal/dial"
)

// databaseFlag adds --database to a command that concerns one database.
func (a *app) databaseFlag(cmd *cobra.Command) {
	cmd.Flags().StringVarP(&a.database, "database", "d", "", "`name` of the database in the configuration (default the only one)")
	_ = cmd.RegisterFlagCompletionFunc("database", func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		cfg, err := a.load()
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return cfg.Names(), cobra.ShellCompDirectiveNoFileComp
	})
}

// pick returns the name of the database that --database says, or of the only one.
func (a *app) pick(cfg config.Config) (string, error) {
	names := cfg.Names()
	_, known := cfg.Databases[a.database]
	switch {
	case known:
		return a.database, nil
	case a.database != "":
		return "", withCode(exitUsage, fmt.Errorf("no database %q in the configuration: it has %s", a.database, strings.Join(names, ", ")))
	case len(names) == 1:
		return names[0], nil
	default:
		return "", withCode(exitUsage, fmt.Errorf("%d databases in the configuration: choose with --database one of %s", len(names), strings.Join(names, ", ")))
	}
}

// connection is a session of a command on one of the databases.
type connection struct {
	*pgx.Conn

	Name   string        // as the configuration calls the database
	Config config.Config // the whole configuration
	Store  control.Store // the control schema
}

// connectTimeout bounds how long a command waits for a database, before the
// user hears of it.
const connectTimeout = 15 * time.Second

// connect opens a session on the database that --database says, or on the only
// one. The caller closes it.
func (a *app) connect(cmd *cobra.Command) (*connection, error) {
	cfg, err := a.load()
	if err != nil {
		return nil, err
	}
	name, err := a.pick(cfg)
	if err != nil {
		return nil, err
	}
	return a.connectTo(cmd, cfg, name)
}

// connectTo opens a session on the database of that name. The caller closes it.
func (a *app) connectTo(cmd *cobra.Command, cfg config.Config, name string) (*connection, error) {
	ctx, cancel := context.WithTimeout(cmd.Context(), connectTimeout)
	defer cancel()
	conn, err := dial.New(cfg.Databases[name]).Connect(ctx, "bbmd/"+name+"/"+cmd.Name())
	if err != nil {
		return nil, withCode(exitUnreachable, fmt.Errorf("database %s: %w", name, err))
	}
	return &connection{Conn: conn, Name: name, Config: cfg, Store: control.NewStore(cfg.ControlSchema)}, nil
}

// connectControl is [app.connect] for commands that need the control schema.
func (a *app) connectControl(cmd *cobra.Command) (*connection, error) {
	c, err := a.connect(cmd)
	if err != nil {
		return nil, err
	}
	if err := c.checkControl(cmd.Context()); err != nil {
		c.close(cmd.Context())
		return nil, err
	}
	return c, nil
}

// checkControl says how to get the control schema where it is missing.
func (c *connection) checkControl(ctx context.Context) error {
	err := control.Check(ctx, c, c.Config.ControlSchema)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, control.ErrOutdated):
		return withCode(exitUsage, fmt.Errorf("database %s: %w: run `bbmd init-control`, or start the daemon", c.Name, err))
	case errors.Is(err, control.ErrNewer):
		return withCode(exitUsage, fmt.Errorf("database %s: %w", c.Name, err))
	default:
		return fmt.Errorf("database %s: %w", c.Name, err)
	}
}

// close says goodbye, whether or not ctx still lasts.
func (c *connection) close(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	_ = c.Close(ctx) // the command has its result already
}
