package main

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/bbmd-dev/bbmd/plugins"
)

// workReport is a Work as `bbmd works --output json` prints it.
type workReport struct {
	Name      string           `json:"name"`
	Version   int              `json:"version"`
	Kind      plugins.Kind     `json:"kind"`
	State     plugins.State    `json:"state"`
	Usable    bool             `json:"usable"`
	Digest    string           `json:"digest,omitempty"` // of the plugin's content
	Path      string           `json:"path"`             // of the plugin, or the package that it is in
	Reason    string           `json:"reason,omitempty"` // why its plugin is not ok, and the way out
	Summary   string           `json:"summary"`
	Arguments []argumentReport `json:"arguments"`
}

// argumentReport is one argument of a Work.
type argumentReport struct {
	Name     string `json:"name"`
	Type     string `json:"type"` // of JSON
	Nullable bool   `json:"nullable"`
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
				Name: work.Name, Version: work.Version, Summary: work.Summary, Arguments: reportArguments(work.Arguments),
				Kind: p.Origin.Kind, State: p.State, Usable: p.Usable, Digest: p.Origin.Digest, Path: p.Origin.Path, Reason: p.Reason,
			})
		}
	}
	slices.SortStableFunc(reports, func(a, b workReport) int { return strings.Compare(a.Name, b.Name) })
	return reports
}

// reportArguments lists the fields of a Work's arguments, a pointer to a struct or nil.
func reportArguments(arguments any) []argumentReport {
	reports := []argumentReport{}
	if arguments == nil {
		return reports
	}
	for _, field := range reflect.VisibleFields(reflect.TypeOf(arguments).Elem()) {
		tag, tagged := field.Tag.Lookup("json")
		name, _, _ := strings.Cut(tag, ",")
		if tag == "-" || !field.IsExported() || field.Anonymous && !tagged {
			continue
		}
		if name == "" {
			name = field.Name
		}
		kind := field.Type
		nullable := kind.Kind() == reflect.Pointer
		if nullable {
			kind = kind.Elem()
		}
		reports = append(reports, argumentReport{Name: name, Type: jsonType(kind), Nullable: nullable})
	}
	return reports
}

func jsonType(t reflect.Type) string {
	switch kind := t.Kind(); {
	case kind == reflect.String:
		return "string"
	case kind == reflect.Bool:
		return "boolean"
	case kind >= reflect.Int && kind <= reflect.Float64:
		return "number"
	case kind == reflect.Slice || kind == reflect.Array:
		return "array"
	case kind == reflect.Map || kind == reflect.Struct:
		return "object"
	default:
		return "any"
	}
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
