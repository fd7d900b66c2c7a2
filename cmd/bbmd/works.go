package main

import (
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/bbmd-dev/bbmd/plugins"
	"github.com/bbmd-dev/bbmd/registry"
)

// workReport is a Work as `bbmd works --output json` prints it.
type workReport struct {
	Name      string                  `json:"name"`
	Version   int                     `json:"version"`
	Kind      plugins.Kind            `json:"kind"`
	State     plugins.State           `json:"state"`
	Usable    bool                    `json:"usable"`
	Digest    string                  `json:"digest,omitempty"` // of the plugin's content
	Path      string                  `json:"path"`             // of the plugin, or the package that it is in
	Reason    string                  `json:"reason,omitempty"` // why its plugin is not ok, and the way out
	Summary   string                  `json:"summary"`
	Arguments []registry.ArgumentInfo `json:"arguments"`
}

func newWorksCommand(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "works",
		Short: "List the Works that this bbmd can run",
		Long: "Lists the Works that are compiled into this bbmd and those of its plugins: what job_signature_name,\n" +
			"or the first argument of `bbmd enqueue`, may say, and the arguments of each. A question mark\n" +
			"follows the type of an argument that may be null. No database is needed, and no program is run.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			asJSON, err := a.wantsJSON()
			if err != nil {
				return err
			}
			all, err := a.allPlugins(cmd.Context())
			if err != nil {
				_, _ = fmt.Fprintf(a.err, "bbmd: warning: the Works of plugins are not listed: %v\n", err)
			}
			works := reportWorks(all)
			if asJSON {
				return a.printJSON(works)
			}
			return a.printWorks(works)
		},
	}
	a.outputFlag(cmd)
	return cmd
}

// reportWorks lists the Works of all plugins, by name.
func reportWorks(all []plugins.Plugin) []workReport {
	reports := []workReport{}
	for _, p := range all {
		for _, work := range p.Works {
			reports = append(reports, workReport{
				Name: work.Name, Version: work.Version, Summary: work.Summary, Arguments: work.Describe(),
				Kind: p.Origin.Kind, State: p.State, Usable: p.Usable, Digest: p.Origin.Digest, Path: p.Origin.Path, Reason: p.Reason,
			})
		}
	}
	slices.SortStableFunc(reports, func(a, b workReport) int { return strings.Compare(a.Name, b.Name) })
	return reports
}

func (a *app) printWorks(works []workReport) error {
	table := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(table, "NAME\tVERSION\tKIND\tSTATE\tDIGEST\tARGUMENTS\tSUMMARY") // Flush reports it
	for _, work := range works {
		var arguments []string
		for _, argument := range work.Arguments {
			kind := argument.Type
			if argument.Nullable {
				kind += "?"
			}
			arguments = append(arguments, argument.Name+" "+kind)
		}
		_, _ = fmt.Fprintf(table, "%s\t%d\t%s\t%s\t%s\t%s\t%s\n", work.Name, work.Version, work.Kind, work.State, shortDigest(work.Digest),
			strings.Join(arguments, ", "), work.Summary)
	}
	if err := table.Flush(); err != nil {
		return fmt.Errorf("write output: %w", err)
	}
	return nil
}
