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

// connectControl is [app.connect] for commands that need the control schema. It
// says how to get it where it is missing.
func (a *app) connectControl(cmd *cobra.Command) (*connection, error) {
	c, err := a.connect(cmd)
	if err != nil {
		return nil, err
	}
	err = control.Check(cmd.Context(), c, c.Config.ControlSchema)
	if err == nil {
		return c, nil
	}
	c.close(cmd.Context())
	if errors.Is(err, control.ErrOutdated) {
		err = fmt.Errorf("database %s: %w: run `bbmd init-control`, or start the daemon", c.Name, err)
	} else {
		err = fmt.Errorf("database %s: %w", c.Name, err)
	}
	if errors.Is(err, control.ErrOutdated) || errors.Is(err, control.ErrNewer) {
		return nil, withCode(exitUsage, err)
	}
	return nil, err
}

// close says goodbye, whether or not ctx still lasts.
func (c *connection) close(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	_ = c.Close(ctx) // the command has its result already
}
