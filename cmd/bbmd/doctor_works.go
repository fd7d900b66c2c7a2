package main

import (
	"context"
	"fmt"

	"github.com/bbmd-dev/bbmd/internal/config"
	"github.com/bbmd-dev/bbmd/internal/terminal"
	"github.com/bbmd-dev/bbmd/plugins"
)

// examineWorks counts the Works that this bbmd could run, and looks at its plugins.
func examineWorks(ctx context.Context, cfg config.Config) []finding {
	const check = "works"
	all, err := configured(ctx, cfg)
	var findings []finding
	if err != nil {
		findings = append(findings, finding{
			Check: check, Status: statusFail, Detail: config.Redact(err.Error()),
			Why: "no plugin is used, and migrations that need one wait", Hint: "mend the directory plugins.dir, or the file plugins.lock",
		})
	}
	count := map[plugins.Kind]int{}
	for _, p := range all {
		if p.Usable {
			count[p.Origin.Kind] += len(p.Works)
		}
		if p.State != plugins.StateOK {
			findings = append(findings, pluginFinding(check, p))
		}
	}
	if len(findings) > 0 {
		return findings
	}
	detail := terminal.Count(int64(count[plugins.KindCompiled])) + " compiled in"
	if cfg.Plugins.Dir != "" {
		detail += fmt.Sprintf(", %d in files of SQL, %d in programs", count[plugins.KindSQL], count[plugins.KindProcess])
	}
	return []finding{{Check: check, Status: statusOK, Detail: detail}}
}

// pluginFinding says what is not as it should be with a plugin.
func pluginFinding(check string, p plugins.Plugin) finding {
	f := finding{
		Check: check, Status: statusWarn, Detail: fmt.Sprintf("plugin %s is in the state %s: %s", p.Name, p.State, p.Reason),
		Why: "its Works are used, and nobody vouches for them", Hint: "bbmd plugins list says more",
	}
	if !p.Usable {
		f.Status, f.Why = statusFail, "migrations that need its Works wait"
	}
	return f
}
