package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/bbmd-dev/bbmd/internal/control"
	"github.com/bbmd-dev/bbmd/internal/status"
	"github.com/bbmd-dev/bbmd/registry"
)

// enqueueFlags are the flags of `bbmd enqueue`.
type enqueueFlags struct {
	arguments   string
	set         []string
	batchSize   int32
	parallelism int32
	maxAttempts int32
	min, max    string
	least, most int32
	target      time.Duration
	watch       bool
	request     control.Request
}

func newEnqueueCommand(a *app) *cobra.Command {
	var flags enqueueFlags
	cmd := &cobra.Command{
		Use:   "enqueue WORK TABLE",
		Short: "Enqueue a background migration",
		Long: "Enqueues a background migration: a Work (`bbmd works` lists them) over a table. The arguments\n" +
			"are checked at once where this bbmd has the Work; another one waits for a daemon that has it.\n\n" +
			"`SELECT bbm.enqueue(...)` does the same in plain SQL.",
		Example: "  bbmd enqueue copy_column users --set from=id --set to=id_bigint --watch\n" +
			"  bbmd enqueue execute_sql public.users --name lower_emails \\\n" +
			"    --set sql='UPDATE users SET email = lower(email) WHERE :range'",
		Args:              cobra.ExactArgs(2),
		ValidArgsFunction: completeWorks,
		RunE: func(cmd *cobra.Command, args []string) error {
			flags.request.Work, flags.request.Table = args[0], args[1]
			return a.enqueue(cmd, flags)
		},
	}
	f, r := cmd.Flags(), &flags.request
	f.StringVar(&flags.arguments, "arguments", "", "arguments of the Work, a `JSON` object")
	f.StringArrayVar(&flags.set, "set", nil, "one argument, `key=value`, or key:=JSON; may be repeated, and wins over --arguments")
	f.StringVar(&r.Name, "name", "", "`name` of the migration (default the Work's and the table's)")
	f.StringVar(&r.Columns, "column", "", "key `columns` to walk along, separated by commas (default the primary key)")
	f.Int32Var(&flags.batchSize, "batch-size", 0, "`rows` in the first batches (default 1000)")
	f.Int32Var(&flags.parallelism, "parallelism", 0, "`workers` at a time, over all replicas (default 1)")
	f.Int32Var(&r.Priority, "priority", 0, "lower runs first")
	f.StringArrayVar(&r.DependsOn, "depends-on", nil, "`name` of a migration that has to finish before; may be repeated")
	f.Int32Var(&flags.maxAttempts, "max-attempts", 0, "how `often` a batch may fail (default as the daemon is configured)")
	f.StringVar(&flags.min, "min", "", "first `key` (default the smallest at the start)")
	f.StringVar(&flags.max, "max", "", "last `key` (default the greatest at the start)")
	f.BoolVar(&r.Paused, "paused", false, "do not start it before `bbmd resume`")
	f.BoolVarP(&flags.watch, "watch", "w", false, "follow it until it is over")
	flags.tuning(cmd)
	a.databaseFlag(cmd)
	a.outputFlag(cmd)
	return cmd
}

// tuning adds the flags that few migrations need.
func (f *enqueueFlags) tuning(cmd *cobra.Command) {
	f.cutting(cmd)
	set, r := cmd.Flags(), &f.request
	set.DurationVar(&r.Pause, "pause", 0, "how `long` a worker rests after each batch")
	set.Int32Var(&r.MaxQuarantined, "max-quarantined", 0, "how many `rows` may be set aside because they fail alone")
}

// cutting adds the flags that say how batches are cut.
func (f *enqueueFlags) cutting(cmd *cobra.Command) {
	set, r := cmd.Flags(), &f.request
	set.Int32Var(&f.least, "min-batch-size", 0, "fewest `rows` in a batch (default 10)")
	set.Int32Var(&f.most, "max-batch-size", 0, "most `rows` in a batch (default 100000)")
	set.DurationVar(&f.target, "target-duration", 0, "how `long` a batch is to take; 0 keeps the batch size as it is (default as the daemon is configured)")
	set.StringVar(&r.Strategy, "strategy", "", "keyset, or null: batches are rows whose --column is still NULL (default keyset)")
}

func completeWorks(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	var names []string
	if len(args) == 0 {
		for _, work := range registry.Default().Works() {
			names = append(names, work.Name+"\t"+work.Summary)
		}
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

// given fills in what only counts where its flag was given.
func (f *enqueueFlags) given(cmd *cobra.Command) {
	for flag, set := range map[string]func(){
		"batch-size":      func() { f.request.BatchSize = &f.batchSize },
		"min-batch-size":  func() { f.request.MinBatchSize = &f.least },
		"max-batch-size":  func() { f.request.MaxBatchSize = &f.most },
		"target-duration": func() { f.request.TargetDuration = &f.target },
		"parallelism":     func() { f.request.Parallelism = &f.parallelism },
		"max-attempts":    func() { f.request.MaxAttempts = &f.maxAttempts },
		"min":             func() { f.request.Min = &f.min },
		"max":             func() { f.request.Max = &f.max },
	} {
		if cmd.Flags().Changed(flag) {
			set()
		}
	}
}

func (a *app) enqueue(cmd *cobra.Command, flags enqueueFlags) error {
	asJSON, err := a.wantsJSON()
	if err != nil {
		return err
	}
	flags.given(cmd)
	work, unknown := a.lookupWork(cmd.Context(), flags.request.Work)
	if flags.request.Arguments, err = parseArguments(work, flags.arguments, flags.set); err != nil {
		return withCode(exitUsage, err)
	}
	if unknown != nil {
		_, _ = fmt.Fprintf(a.err, "bbmd: warning: %v\n", unknown)
	} else if err := work.ValidateArguments(flags.request.Arguments); err != nil {
		return withCode(exitUsage, fmt.Errorf("%w: `bbmd works` shows what it takes", err))
	}
	c, err := a.connectControl(cmd)
	if err != nil {
		return err
	}
	defer c.close(cmd.Context())
	name, err := c.Store.Enqueue(cmd.Context(), c, flags.request)
	if err != nil {
		return c.explain(cmd, err, flags.request.Name)
	}
	return a.enqueued(cmd, c, name, flags.watch, asJSON)
}

// enqueued says what has become of it.
func (a *app) enqueued(cmd *cobra.Command, c *connection, name string, watch, asJSON bool) error {
	if watch {
		return a.watch(cmd, c, []string{name}, asJSON)
	}
	all, err := c.progress(cmd.Context(), control.Selection{Names: []string{name}})
	if err != nil {
		return err
	}
	if asJSON {
		return a.printJSON(all[0])
	}
	if err := a.printf("enqueued %s: `bbmd status --watch %s` follows it\n", name, name); err != nil {
		return err
	}
	if reason := all[0].Reason; reason != nil && *reason == status.Unattended {
		_, _ = fmt.Fprintf(a.err, "bbmd: warning: %s\n", status.Unattended)
	}
	return nil
}

// parseArguments makes one JSON object of --arguments and --set. work may be the zero Work.
func parseArguments(work registry.Work, arguments string, set []string) (json.RawMessage, error) {
	object := map[string]json.RawMessage{}
	if arguments != "" {
		if err := json.Unmarshal([]byte(arguments), &object); err != nil || object == nil {
			return nil, fmt.Errorf("--arguments %s: it is not a JSON object: write '{\"key\": \"value\"}'", arguments)
		}
		if len(set) == 0 {
			return json.RawMessage(arguments), nil // as it is: the Work checks it for doubles and the like
		}
	}
	for _, pair := range set {
		key, value, ok := strings.Cut(pair, "=")
		if !ok || strings.TrimSuffix(key, ":") == "" {
			return nil, fmt.Errorf("--set %s: write key=value, or key:=JSON", pair)
		}
		name, isJSON := strings.CutSuffix(key, ":")
		raw, err := argument(work, name, value, isJSON)
		if err != nil {
			return nil, fmt.Errorf("--set %s: %w", pair, err)
		}
		object[name] = raw
	}
	return json.Marshal(object)
}

// argument returns a value as JSON. Where it does not say that it is, it is
// text, unless the Work takes something else under that name.
func argument(work registry.Work, name, value string, isJSON bool) (json.RawMessage, error) {
	if isJSON {
		if !json.Valid([]byte(value)) {
			return nil, errors.New("the value is not JSON: a text needs quotes behind :=, and none behind =")
		}
		return json.RawMessage(value), nil
	}
	text, err := json.Marshal(value)
	if err != nil {
		return nil, err
	}
	if work.Arguments == nil || !json.Valid([]byte(value)) {
		return text, nil
	}
	target := reflect.New(reflect.TypeOf(work.Arguments).Elem()).Interface()
	probe, err := json.Marshal(map[string]json.RawMessage{name: text})
	if err != nil {
		return nil, err
	}
	if _, mismatch := errors.AsType[*json.UnmarshalTypeError](json.Unmarshal(probe, target)); mismatch {
		return json.RawMessage(value), nil
	}
	return text, nil
}
