package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/bbmd-dev/bbmd/daemon"
	"github.com/bbmd-dev/bbmd/internal/config"
	"github.com/bbmd-dev/bbmd/plugins"
	"github.com/bbmd-dev/bbmd/registry"
)

func newPluginsCommand(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "plugins",
		Short: "Look after Works that are not compiled in: files of SQL, and programs",
		Long: "Shows, tries and vouches for the plugins in the directory plugins.dir, whose Works are used\n" +
			"like those that are compiled in. A daemon takes up what changes there by itself.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(
		newPluginsListCommand(a),
		newPluginsVerifyCommand(a),
		newPluginsLockCommand(a),
		newPluginsApproveCommand(a),
		newPluginsReloadCommand(a),
		newPluginsNewCommand(a),
		newPluginsTestCommand(a),
	)
	return cmd
}

// loadPlugins returns the configuration and what is in its directory of plugins.
// No program is run.
func (a *app) loadPlugins(ctx context.Context) (config.Config, *plugins.Snapshot, error) {
	cfg, err := a.load()
	if err != nil {
		return cfg, nil, err
	}
	if cfg.Plugins.Dir == "" {
		return cfg, nil, withCode(exitUsage, errors.New("no directory of plugins is configured: set plugins.dir in the file, or BBMD_PLUGINS__DIR"))
	}
	catalog, closeAll, err := daemon.Plugins(ctx, cfg, nil, slog.New(slog.DiscardHandler))
	if err != nil {
		return cfg, nil, withCode(exitUsage, err)
	}
	snapshot := catalog.Snapshot()
	return cfg, snapshot, closeAll()
}

// dynamic returns the plugins that are not compiled in.
func dynamic(s *plugins.Snapshot) []plugins.Plugin {
	return slices.DeleteFunc(s.Plugins(), func(p plugins.Plugin) bool { return p.Origin.Kind == plugins.KindCompiled })
}

// allPlugins returns the Works that are compiled in, a plugin each, and the
// plugins of the configuration's directory. With an error it is the former alone. A
// configuration that cannot be read has no directory: commands that need one say
// what is wrong with it.
func (a *app) allPlugins(ctx context.Context) ([]plugins.Plugin, error) {
	cfg, err := a.load()
	if err != nil {
		cfg.Plugins = config.Plugins{}
	}
	return configured(ctx, cfg)
}

// configured is what a configuration has of plugins; see [app.allPlugins].
func configured(ctx context.Context, cfg config.Config) ([]plugins.Plugin, error) {
	catalog, closeAll, err := daemon.Plugins(ctx, cfg, nil, nil)
	if err != nil {
		return plugins.New(plugins.Options{Compiled: registry.Default()}).Snapshot().Plugins(), err
	}
	return catalog.Snapshot().Plugins(), closeAll()
}

// lookupWork finds a Work among those that are compiled in and those of plugins.
// Where plugins cannot be loaded, the error says so.
func (a *app) lookupWork(ctx context.Context, name string) (registry.Work, error) {
	work, err := registry.Default().Lookup(name)
	if err == nil {
		return work, nil
	}
	cfg, loadErr := a.load()
	if loadErr != nil || cfg.Plugins.Dir == "" {
		return work, err // what is wrong with the configuration is said when it is needed
	}
	catalog, closeAll, loadErr := daemon.Plugins(ctx, cfg, nil, nil)
	if loadErr != nil {
		return work, fmt.Errorf("%w (%w)", err, loadErr)
	}
	defer func() { _ = closeAll() }() // nothing was run
	return catalog.Lookup(name)
}

func newPluginsVerifyCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "verify",
		Short: "Fail unless every plugin is valid and vouched for",
		Long: "Reads the directory of plugins and the lock file, whatever the policy is, and says what is not as it\n" +
			"should be. No database is needed, and no program is run: for a build, or an init container.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, snapshot, err := a.loadPlugins(cmd.Context())
			if err != nil {
				return err
			}
			lock, err := plugins.ReadLock(cfg.Plugins.Lock)
			if err != nil {
				return err
			}
			var problems []string
			all := dynamic(snapshot)
			for _, p := range all {
				if p.State == plugins.StateOK && lock[p.Name] != (plugins.Locked{Kind: p.Origin.Kind, Digest: p.Origin.Digest}) {
					p.State, p.Reason = plugins.StateUnpinned, "the lock file does not vouch for it"
				}
				if p.State != plugins.StateOK {
					problems = append(problems, fmt.Sprintf("%s: %s: %s", p.Name, p.State, p.Reason))
				}
			}
			if len(problems) > 0 {
				return withCode(exitRefused, errors.New(strings.Join(problems, "\n")))
			}
			return a.printf("%d plugins are valid and vouched for\n", len(all))
		},
	}
}

func newPluginsLockCommand(a *app) *cobra.Command {
	var names []string
	cmd := &cobra.Command{
		Use:   "lock",
		Short: "Vouch for the plugins as they are now",
		Long: "Writes the digests of all valid plugins to the file plugins.lock, or with --update those of some. Look at\n" +
			"them before: what the lock names may run. Keep the file where others than the plugins' authors write it.",
		Example: "  bbmd plugins lock\n  bbmd plugins lock --update normalize_email",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, snapshot, err := a.loadPlugins(cmd.Context())
			if err != nil {
				return err
			}
			return a.lockPlugins(cfg.Plugins.Lock, dynamic(snapshot), names)
		},
	}
	cmd.Flags().StringArrayVar(&names, "update", nil, "only the plugin of that `name`; again and again")
	return cmd
}

func (a *app) lockPlugins(path string, all []plugins.Plugin, names []string) error {
	if path == "" {
		return withCode(exitUsage, errors.New("no lock file is configured: set plugins.lock in the file, or BBMD_PLUGINS__LOCK"))
	}
	lock := plugins.Lock{}
	if len(names) > 0 {
		before, err := plugins.ReadLock(path)
		if err != nil {
			return err
		}
		maps.Copy(lock, before)
	}
	left := slices.Clone(names)
	for _, p := range all {
		if len(names) > 0 && !slices.Contains(names, p.Name) {
			continue
		}
		left = slices.DeleteFunc(left, func(name string) bool { return name == p.Name })
		switch p.State {
		case plugins.StateInvalid, plugins.StateConflict:
			return withCode(exitRefused, fmt.Errorf("plugin %s is in the state %s: %s", p.Name, p.State, p.Reason))
		case plugins.StateMissing:
			delete(lock, p.Name)
		case plugins.StateOK, plugins.StateUnpinned, plugins.StateMismatch, plugins.StateChanged, plugins.StateCrashed:
			lock[p.Name] = plugins.Locked{Kind: p.Origin.Kind, Digest: p.Origin.Digest}
		}
	}
	if len(left) > 0 {
		return withCode(exitUsage, fmt.Errorf("no plugin %s: `bbmd plugins list` shows them", strings.Join(left, ", ")))
	}
	if err := lock.Write(path); err != nil {
		return err
	}
	return a.printf("%s vouches for %d plugins\n", path, len(lock))
}
