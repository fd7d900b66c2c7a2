package main

import (
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/bbmd-dev/bbmd/internal/control"
	"github.com/bbmd-dev/bbmd/plugins"
	"github.com/bbmd-dev/bbmd/registry"
)

// pluginReport is a plugin as `bbmd plugins list --output json` prints it.
type pluginReport struct {
	Name    string        `json:"name"`
	Kind    plugins.Kind  `json:"kind"`
	State   plugins.State `json:"state"`
	Usable  bool          `json:"usable"`
	Works   []string      `json:"works"`
	Version int           `json:"version"` // of its first Work; 0: not known
	Digest  string        `json:"digest"`
	Path    string        `json:"path"`
	Reason  string        `json:"reason"`
}

func newPluginsListCommand(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the plugins, how they are doing, and why",
		Long: "Lists what is in the directory of plugins, whether it can be used, and what to do where it cannot. Where\n" +
			"the database can be reached, it is asked as well: whether it would take what plugins send, and which of\n" +
			"its migrations began with another content than is there now.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			asJSON, err := a.wantsJSON()
			if err != nil {
				return err
			}
			_, snapshot, err := a.loadPlugins(cmd.Context())
			if err != nil {
				return err
			}
			all := dynamic(snapshot)
			if all, err = a.askDatabase(cmd, snapshot, all); err != nil {
				_, _ = fmt.Fprintf(a.err, "bbmd: warning: no database was asked about the plugins: %v\n", err)
			}
			reports := reportPlugins(all)
			if asJSON {
				return a.printJSON(reports)
			}
			return a.printPlugins(reports)
		},
	}
	a.outputFlag(cmd)
	a.databaseFlag(cmd)
	return cmd
}

// askDatabase adds what only a database knows.
func (a *app) askDatabase(cmd *cobra.Command, snapshot *plugins.Snapshot, all []plugins.Plugin) ([]plugins.Plugin, error) {
	c, err := a.connectControl(cmd)
	if err != nil {
		return all, err
	}
	defer c.close(cmd.Context())
	refused, err := snapshot.Prepare(cmd.Context(), c.Conn)
	if err != nil {
		return all, err
	}
	for _, p := range refused {
		if i := slices.IndexFunc(all, func(other plugins.Plugin) bool { return other.Name == p.Name }); i >= 0 {
			all[i].State, all[i].Reason = p.State, p.Reason
		}
	}
	pinned, err := c.Store.Pinned(cmd.Context(), c)
	if err != nil {
		return all, err
	}
	for _, m := range pinned {
		all = compare(all, m)
	}
	return all, nil
}

// compare notes a plugin that is not what a migration began with.
func compare(all []plugins.Plugin, m control.Pinned) []plugins.Plugin {
	for i, p := range all {
		j := slices.IndexFunc(p.Works, func(w registry.Work) bool { return w.Name == m.Work })
		if j < 0 || p.State == plugins.StateMissing {
			continue
		}
		if p.Origin.Digest != m.Digest {
			all[i].State = plugins.StateChanged
			all[i].Reason = fmt.Sprintf("the migration %s began with another content: put it back as it was, or bbmd plugins approve %s", m.Migration, m.Work)
		}
		return all
	}
	if _, err := registry.Default().Lookup(m.Work); err == nil || m.Digest == "" ||
		slices.ContainsFunc(all, func(p plugins.Plugin) bool { return p.Name == m.Work }) {
		return all
	}
	return append(all, plugins.Plugin{
		Name: m.Work, Origin: plugins.Origin{Digest: m.Digest}, State: plugins.StateMissing,
		Reason: fmt.Sprintf("the migration %s needs it: put it back, or bbmd cancel %s", m.Migration, m.Migration),
	})
}

func reportPlugins(all []plugins.Plugin) []pluginReport {
	reports := make([]pluginReport, 0, len(all))
	for _, p := range all {
		r := pluginReport{
			Name: p.Name, Kind: p.Origin.Kind, State: p.State, Usable: p.Usable, Works: []string{},
			Digest: p.Origin.Digest, Path: p.Origin.Path, Reason: p.Reason,
		}
		for _, w := range p.Works {
			r.Works = append(r.Works, w.Name)
		}
		if len(p.Works) > 0 {
			r.Version = p.Works[0].Version
		}
		reports = append(reports, r)
	}
	return reports
}

// shortDigest returns as much of a digest as people compare; "-" of none.
func shortDigest(digest string) string {
	if digest == "" {
		return "-"
	}
	digest = strings.TrimPrefix(digest, "sha256:")
	return digest[:min(12, len(digest))]
}

func (a *app) printPlugins(reports []pluginReport) error {
	table := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(table, "NAME\tKIND\tVERSION\tSTATE\tDIGEST\tPATH\tREASON") // Flush reports it
	for _, r := range reports {
		_, _ = fmt.Fprintf(table, "%s\t%s\t%d\t%s\t%s\t%s\t%s\n", r.Name, r.Kind, r.Version, r.State, shortDigest(r.Digest), r.Path, r.Reason)
	}
	if err := table.Flush(); err != nil {
		return fmt.Errorf("write output: %w", err)
	}
	return nil
}
