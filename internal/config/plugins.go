package config

import "slices"

// Plugins says where Works come from that are not compiled in.
type Plugins struct {
	// Dir is the directory of plugins, which is watched. Only root and the
	// user that runs bbmd may be able to write it. A relative path in the
	// configuration file starts at that file's directory. Empty means no
	// plugins. Defaults to empty.
	Dir string `koanf:"dir"`

	// Lock is the file that says which plugins somebody vouches for; see
	// `bbmd plugins lock`. A relative path in the configuration file starts at
	// that file's directory. Empty means that nobody vouches for any. Defaults
	// to empty.
	Lock string `koanf:"lock"`

	// Verify says what becomes of plugins that the lock does not vouch for.
	Verify PluginsVerify `koanf:"verify"`
}

// PluginsVerify is a policy for each kind of plugins.
type PluginsVerify struct {
	// SQL is the policy for files of SQL: off, warn or required. Defaults to
	// warn.
	SQL PluginPolicy `koanf:"sql"`

	// Process is the policy for programs: off, warn or required. Defaults to
	// required.
	Process PluginPolicy `koanf:"process"`
}

// PluginPolicy is what becomes of plugins that nobody vouches for.
type PluginPolicy string

// The policies.
const (
	PluginsOff      PluginPolicy = "off"      // they are used
	PluginsWarn     PluginPolicy = "warn"     // they are used, with a warning
	PluginsRequired PluginPolicy = "required" // they are not used
)

func (v *validator) plugins() {
	p := v.config.Plugins
	for key, policy := range map[string]PluginPolicy{"plugins.verify.sql": p.Verify.SQL, "plugins.verify.process": p.Verify.Process} {
		if !slices.Contains([]PluginPolicy{PluginsOff, PluginsWarn, PluginsRequired}, policy) {
			v.report(key, refuse(v.quote(key, string(policy))+" is no policy", "use off, warn or required"))
		}
	}
	if p.Lock != "" && p.Dir == "" {
		v.report("plugins.lock", refuse("there are no plugins that it could be about", "set plugins.dir, or remove it"))
	}
}
