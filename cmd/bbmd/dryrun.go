package main

import (
	"errors"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/bbmd-dev/bbmd/daemon"
	"github.com/bbmd-dev/bbmd/registry"
)

// dryRunFlags are the flags of `bbmd dry-run`.
type dryRunFlags struct {
	enqueueFlags

	batches int
}

func newDryRunCommand(a *app) *cobra.Command {
	var flags dryRunFlags
	cmd := &cobra.Command{
		Use:   "dry-run NAME | WORK TABLE",
		Short: "Say what a migration would do and cost, before it does",
		Long: "Looks at a migration that is enqueued, or at one that could be: the plan of its batch statement\n" +
			"under the settings of a worker's session; indexes on what it writes, triggers, foreign keys and\n" +
			"publications; and what some batches cost that are spread over the keys, run in transactions of\n" +
			"their own and rolled back. From that it projects time, WAL and bloat.\n\n" +
			"No row is different afterwards. What stays of a trial is WAL and dead row versions; sequences\n" +
			"move on, and what a Work does outside of the database is done. It works beside daemons.\n\n" +
			"It exits 0, warnings or not, and " + strconv.Itoa(exitMigration) + " when the migration would fail.",
		Example: "  bbmd dry-run copy_column_users\n" +
			"  bbmd dry-run execute_sql public.orders --set sql='UPDATE orders SET total = net + tax WHERE :range'\n" +
			"  bbmd dry-run copy_column_users --batches 0   # the plan and the table alone",
		Args: cobra.RangeArgs(1, 2),
		ValidArgsFunction: func(cmd *cobra.Command, args []string, partly string) ([]string, cobra.ShellCompDirective) {
			if len(args) > 0 {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			names, directive := a.completeNames(cmd, args, partly)
			works, _ := completeWorks(cmd, args, partly)
			return append(names, works...), directive
		},
		RunE: func(cmd *cobra.Command, args []string) error { return a.dryRun(cmd, args, flags) },
	}
	f, r := cmd.Flags(), &flags.request
	f.IntVar(&flags.batches, "batches", 10, "how `many` batches to try")
	f.Int32Var(&flags.batchSize, "batch-size", 0, "`rows` in each of them (default as the migration says, then as many as take its target duration)")
	f.StringVar(&flags.arguments, "arguments", "", "arguments of the Work, a `JSON` object")
	f.StringArrayVar(&flags.set, "set", nil, "one argument, `key=value`, or key:=JSON; may be repeated, and wins over --arguments")
	f.StringVar(&r.Columns, "column", "", "key `columns` to walk along, separated by commas (default the primary key)")
	f.Int32Var(&flags.parallelism, "parallelism", 0, "`workers` at a time, over all replicas (default 1)")
	f.StringVar(&flags.min, "min", "", "first `key` (default the smallest)")
	f.StringVar(&flags.max, "max", "", "last `key` (default the greatest)")
	flags.cutting(cmd)
	a.databaseFlag(cmd)
	a.outputFlag(cmd)
	return cmd
}

// ofRequests are the flags that describe a migration which is not enqueued.
func ofRequests() []string {
	return []string{
		"arguments", "set", "column", "parallelism", "min", "max", "min-batch-size", "max-batch-size", "target-duration", "strategy",
	}
}

func (a *app) dryRun(cmd *cobra.Command, args []string, flags dryRunFlags) error {
	asJSON, err := a.wantsJSON()
	if err != nil {
		return err
	}
	opts, err := flags.options(cmd, args)
	if err != nil {
		return withCode(exitUsage, err)
	}
	c, err := a.connectControl(cmd)
	if err != nil {
		return err
	}
	defer c.close(cmd.Context())
	opts.Logger = c.quietLogger(a.err)
	report, err := daemon.DryRun(cmd.Context(), c.Config, c.Name, opts)
	switch {
	case errors.Is(err, daemon.ErrNoMigration):
		return c.noMigration(cmd, opts.Name)
	case errors.Is(err, registry.ErrUnknownWork):
		return withCode(exitUsage, err)
	case errors.Is(err, daemon.ErrWouldFail):
		return withCode(exitMigration, err)
	case err != nil:
		return err
	}
	if asJSON {
		err = a.printJSON(report)
	} else {
		err = report.Write(a.screen())
	}
	if err == nil && report.Failed() {
		err = withCode(exitMigration, daemon.ErrWouldFail)
	}
	return err
}

// options makes options of the command line.
func (f *dryRunFlags) options(cmd *cobra.Command, args []string) (daemon.DryRunOptions, error) {
	opts := daemon.DryRunOptions{Batches: f.batches, BatchSize: f.batchSize}
	if f.batches < 0 || f.batches > 1000 {
		return opts, errors.New("--batches: from 0 to 1000")
	}
	if f.batchSize < 0 || f.batchSize > 10_000_000 {
		return opts, errors.New("--batch-size: from 1 to 10 million")
	}
	if len(args) == 1 {
		opts.Name = args[0]
		for _, flag := range ofRequests() {
			if cmd.Flags().Changed(flag) {
				return opts, fmt.Errorf("--%s: migration %q has been enqueued as it is; to try another one say WORK TABLE", flag, opts.Name)
			}
		}
		return opts, nil
	}
	f.request.Work, f.request.Table = args[0], args[1]
	f.given(cmd)
	work, err := registry.Default().Lookup(f.request.Work)
	if err != nil {
		return opts, err
	}
	if f.request.Arguments, err = parseArguments(work, f.arguments, f.set); err != nil {
		return opts, err
	}
	opts.Request = f.request
	return opts, nil
}
