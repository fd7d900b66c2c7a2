package config

import (
	"github.com/spf13/pflag"
)

const (
	// configFlag names the configuration file on the command line.
	configFlag = "config"
	// configVariable does so in the environment.
	configVariable = "BBMD_CONFIG"
	// keyAnnotation marks a flag as a key, and holds its name.
	keyAnnotation = "bbmd_config_key"
)

// RegisterFlags adds --config and the flags that are keys to fs. Hand fs to
// [Load] in [Sources] once it is parsed.
func RegisterFlags(fs *pflag.FlagSet) {
	defaults := Default()
	fs.StringP(configFlag, "c", "", "configuration `file` (default ./bbmd.yaml, then /etc/bbmd/bbmd.yaml)")
	fs.String("profile", defaults.Profile, "`name` of the profile whose databases this is about (default all)")
	fs.String("control-schema", defaults.ControlSchema, "`schema` that holds bbmd's own tables")
	fs.Bool("background-migrations", defaults.BackgroundMigrations.Enabled, "run background migrations")
	fs.Int("workers", defaults.BackgroundMigrations.Workers, "batches that run at a time per database")
	fs.String("http-listen", defaults.HTTP.Listen, "`address` of probes and metrics; empty for none")
	fs.String("dashboard-listen", defaults.Dashboard.Listen, "`address` of the dashboard; empty for none")
	fs.String("log-level", "info", "least severe `level` to log: debug, info, warn, error")
	fs.String("log-format", string(defaults.Log.Format), "log `format`: auto, text, json")
	fs.Duration("shutdown-grace", defaults.ShutdownGrace, "how long running batches may take to finish on shutdown")
	for _, key := range Keys() {
		if flag := fs.Lookup(key.Flag); key.Flag != "" && flag != nil {
			flag.Annotations = map[string][]string{keyAnnotation: {key.Name}}
		}
	}
}

// flagKey returns the key that a flag sets, or an empty string.
func flagKey(flag *pflag.Flag) string {
	if names := flag.Annotations[keyAnnotation]; len(names) == 1 {
		return names[0]
	}
	return ""
}
