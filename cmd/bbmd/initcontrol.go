package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/bbmd-dev/bbmd/internal/config"
	"github.com/bbmd-dev/bbmd/internal/control"
)

func newInitControlCommand(a *app) *cobra.Command {
	var printed bool
	var asked askedRoles
	cmd := &cobra.Command{
		Use:   "init-control",
		Short: "Create or upgrade the control schema, and say who may use it",
		Long: "Creates the schema that holds bbmd's own tables, or upgrades it, in one transaction; it changes\n" +
			"nothing where the schema is up to date. The daemon does the same when it starts: this is for\n" +
			"databases where its role may not, and somebody else has to.\n\n" +
			"--worker, --enqueuer and --reader give roles that are there what the daemon, whoever enqueues, and\n" +
			"whoever looks need in that schema, and no more; they can be given many times. An enqueuer may enqueue\n" +
			"the Works that are named behind it (role=work,work; role=* for all), on tables that it may write itself.\n" +
			"An upgrade grants the same again. --revoke takes it away.\n\n" +
			"--print prints the SQL for a database that has none, and connects to nothing.",
		Example: "  bbmd init-control\n  bbmd init-control --database billing\n" +
			"  bbmd init-control --worker bbmd --enqueuer shop=copy_column,normalize_email --reader grafana\n  bbmd init-control --print | psql …",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			roles, err := asked.roles()
			if err != nil {
				return withCode(exitUsage, err)
			}
			if printed {
				return a.printControl(roles)
			}
			return a.initControl(cmd, roles)
		},
	}
	a.databaseFlag(cmd)
	cmd.Flags().BoolVar(&printed, "print", false, "print the SQL instead of running it")
	cmd.Flags().StringArrayVar(&asked.workers, "worker", nil, "a role that the daemon logs in as")
	cmd.Flags().StringArrayVar(&asked.enqueuers, "enqueuer", nil, "a role that may enqueue and steer: role=work,work")
	cmd.Flags().StringArrayVar(&asked.readers, "reader", nil, "a role that may look")
	cmd.Flags().StringArrayVar(&asked.revoked, "revoke", nil, "a role that may do nothing any more")
	return cmd
}

// askedRoles are the flags about roles, as they were given.
type askedRoles struct {
	workers, enqueuers, readers, revoked []string
}

// roles returns what is to be granted and revoked, in the order of the kinds.
func (r askedRoles) roles() ([]control.Role, error) {
	var all []control.Role
	for _, name := range r.revoked {
		all = append(all, control.Role{Name: name})
	}
	for _, name := range r.readers {
		all = append(all, control.Role{Name: name, Kind: control.KindReader})
	}
	for _, given := range r.enqueuers {
		name, works, _ := strings.Cut(given, "=")
		role := control.Role{Name: name, Kind: control.KindEnqueuer}
		for work := range strings.SplitSeq(works, ",") {
			if work = strings.TrimSpace(work); work != "" {
				role.Works = append(role.Works, work)
			}
		}
		all = append(all, role)
	}
	for _, name := range r.workers {
		all = append(all, control.Role{Name: name, Kind: control.KindWorker})
	}
	named := map[string]bool{}
	for _, role := range all {
		if role.Name == "" {
			return nil, fmt.Errorf("a role has no name: write --%s role", role.Kind)
		}
		if named[role.Name] {
			return nil, fmt.Errorf("role %s is named twice: it is one of worker, enqueuer and reader, each of which may what those behind it may", role.Name)
		}
		named[role.Name] = true
	}
	return all, nil
}

// printControl prints the control schema. The schema's name is all that it needs to know.
func (a *app) printControl(roles []control.Role) error {
	schema := config.Default().ControlSchema
	if cfg, err := a.load(); err == nil {
		schema = cfg.ControlSchema
	} else if flag := a.flags.Lookup("control-schema"); flag.Changed {
		schema = flag.Value.String()
	}
	script, err := control.Script(schema, roles...)
	if err != nil {
		return err
	}
	return a.printf("%s", script)
}

func (a *app) initControl(cmd *cobra.Command, roles []control.Role) error {
	c, err := a.connect(cmd)
	if err != nil {
		return err
	}
	defer c.close(cmd.Context())
	if err := control.Install(cmd.Context(), c.Conn, c.Config.ControlSchema); err != nil {
		return err
	}
	for _, role := range roles {
		if err := c.Store.Grant(cmd.Context(), c.Conn, role); err != nil {
			return fmt.Errorf("database %s: %w", c.Name, err)
		}
	}
	if err := a.printf("database %s: the control schema %s is up to date\n", c.Name, c.Store.Schema()); err != nil {
		return err
	}
	for _, role := range roles {
		if err := a.printf("database %s: %s\n", c.Name, role); err != nil {
			return err
		}
	}
	return nil
}
