package main

import (
	"github.com/spf13/cobra"

	"github.com/bbmd-dev/bbmd/daemon"
	"github.com/bbmd-dev/bbmd/internal/initialize"
)

func newPlanCommand(a *app) *cobra.Command {
	var flags schemaFlags
	cmd := &cobra.Command{
		Use:   "plan [DATABASE...]",
		Short: "Show what the schemas of databases are, and what migrate would do",
		Long: "Shows the state of each database, its tool, where it is and where it would be, and what `bbmd\n" +
			"migrate` would do. It changes nothing, not even a tool's own table. All databases that have a\n" +
			"schema are shown where none is named. With --compare it also says how each schema differs from\n" +
			"the declared one, which it builds in a throw-away database on the same server.\n\n" +
			"It exits 0 whatever it finds; `bbmd verify` has an exit code for what is pending.",
		Example:           "  bbmd plan\n  bbmd plan billing --output json\n  bbmd plan --compare",
		ValidArgsFunction: a.completeDatabases,
		RunE: func(cmd *cobra.Command, names []string) error {
			flags.all = len(names) == 0
			return a.plan(cmd, names, flags)
		},
	}
	cmd.Flags().BoolVar(&flags.compare, "compare", false, "say how schemas differ from the declared ones")
	a.outputFlag(cmd)
	return cmd
}

func (a *app) plan(cmd *cobra.Command, names []string, flags schemaFlags) error {
	c, err := a.schemaCommand(cmd, names, flags)
	if err != nil {
		return err
	}
	defer c.cancel()
	outcomes, err := daemon.Plan(c.ctx, c.cfg, c.opts)
	if len(outcomes) > 0 {
		if shown := a.showPlan(c, outcomes); shown != nil {
			return shown
		}
	}
	return c.verdict(outcomes, err)
}

// planned is a finding and its comparison, for programs.
type planned struct {
	initialize.Finding

	Difference *daemon.SchemaDifference `json:"difference,omitempty"`
}

func (a *app) showPlan(c *schemaCommand, outcomes []daemon.Outcome) error {
	if !c.asJSON {
		return planTable(a.screen(), outcomes)
	}
	findings := make([]planned, 0, len(outcomes))
	for i := range outcomes {
		if outcomes[i].Finding != nil {
			findings = append(findings, planned{Finding: *outcomes[i].Finding, Difference: outcomes[i].Difference})
		}
	}
	return a.printJSON(findings)
}
