package main

import (
	"github.com/spf13/cobra"

	"github.com/bbmd-dev/bbmd/daemon"
	"github.com/bbmd-dev/bbmd/internal/initialize"
)

func newPlanCommand(a *app) *cobra.Command {
	flags := schemaFlags{all: true}
	cmd := &cobra.Command{
		Use:   "plan [DATABASE...]",
		Short: "Show what the schemas of databases are, and what migrate would do",
		Long: "Shows the state of each database, its tool, where it is and where it would be, and what `bbmd\n" +
			"migrate` would do. It changes nothing, not even a tool's own table. All databases that have a\n" +
			"schema are shown where none is named.\n\n" +
			"It exits 0 whatever it finds; `bbmd verify` has an exit code for what is pending.",
		Example:           "  bbmd plan\n  bbmd plan billing --output json",
		ValidArgsFunction: a.completeDatabases,
		RunE: func(cmd *cobra.Command, names []string) error {
			flags.all = len(names) == 0
			return a.plan(cmd, names, flags)
		},
	}
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

func (a *app) showPlan(c *schemaCommand, outcomes []daemon.Outcome) error {
	if !c.asJSON {
		return planTable(a.screen(), outcomes)
	}
	findings := make([]initialize.Finding, 0, len(outcomes))
	for i := range outcomes {
		if outcomes[i].Finding != nil {
			findings = append(findings, *outcomes[i].Finding)
		}
	}
	return a.printJSON(findings)
}
