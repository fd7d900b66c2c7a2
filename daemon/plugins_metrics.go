package daemon

import (
	"github.com/bbmd-dev/bbmd/plugins"
	"github.com/bbmd-dev/bbmd/plugins/process"
)

// countPlugins says in the metrics how many plugins are in which state.
func (d *Daemon) countPlugins() {
	for kind, states := range d.works.Snapshot().Counts() {
		for state, count := range states {
			d.metrics.Plugins(string(kind), string(state), count)
		}
	}
}

// forgetPlugins removes the metrics of plugins that are gone. Loads call it one at a time.
func (d *Daemon) forgetPlugins() {
	before := d.programs
	d.programs = make(map[string]bool)
	for _, p := range d.works.Snapshot().Plugins() {
		if p.Origin.Kind == plugins.KindProcess {
			d.programs[p.Name] = true
			delete(before, p.Name)
		}
	}
	for name := range before {
		d.metrics.ForgetPlugin(name)
	}
}

// programEvent takes note of what becomes of a plugin's program.
func (d *Daemon) programEvent(plugin, event string) {
	switch event {
	case process.EventStart:
		d.metrics.PluginStarted(plugin)
	case process.EventTask:
		d.metrics.PluginAnswered(plugin)
	case process.EventCrash:
		d.metrics.PluginCrashed(plugin)
	case process.EventGivenUp:
		d.logger.Error("a plugin's programs crash again and again: none is started any more", "plugin", plugin)
		d.options.telemetry.pluginCrashes(plugin)
		d.countPlugins()
	}
}
